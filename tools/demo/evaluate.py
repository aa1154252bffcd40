#!/usr/bin/env python3
"""How good is the demo network? Accuracy on held-out pictures in f32 and simulated int8, and answers for the samples.

    python3 tools/demo/evaluate.py --draw build/release/tools/demo/draw_signs
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
from PIL import Image

import vit

HELD_OUT_SEED = 3_000_000_000  # as in signs.hpp


def draw(program, seed, count, size):
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/pictures.npy", f"{directory}/labels.npy"]
        arguments = ["--seed", seed, "--count", count, "--size", size, "-o", files[0], "--labels-out", files[1]]
        subprocess.run([program, *map(str, arguments)], check=True)
        return [np.load(file) for file in files]


def report_held_out(model, pictures, truth):
    f32, int8 = vit.predict(model, pictures), vit.predict(model, pictures, vit.int8_linear)
    print(f"{len(truth)} pictures, f32 {100 * (f32 == truth).mean():.2f} %, int8 {100 * (int8 == truth).mean():.2f} %, "
          f"same top-1 {100 * (f32 == int8).mean():.2f} %")
    names = model.config.labels
    for i, name in enumerate(names):
        answers = f32[truth == i]
        wrong = np.bincount(answers[answers != i], minlength=len(names))
        confused = ", ".join(f"{names[j]} {wrong[j]}" for j in np.argsort(-wrong, kind="stable")[:3] if wrong[j])
        print(f"  {name:15} {100 * (answers == i).mean():6.2f} %" + (f"   taken for {confused}" if confused else ""))


def report_samples(model, directory):
    files = sorted(file for file in directory.iterdir() if file.suffix in (".png", ".jpg"))
    side = model.config.image_size
    resized = [Image.open(file).convert("RGB").resize((side, side), Image.BILINEAR) for file in files]
    pictures = np.stack([np.asarray(picture) for picture in resized])
    names = model.config.labels
    right = 0
    for file, answer in zip(files, vit.predict(model, pictures)):
        truth = file.stem.rsplit("-", 1)[0]
        right += names[answer] == truth
        if names[answer] != truth:
            print(f"  {file.name} is taken for {names[answer]}")
    print(f"samples: {right} of {len(files)} right, {sum(file.stat().st_size for file in files)} bytes")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", required=True, help="the draw_signs program")
    parser.add_argument("--model", default=root / "models/demo", type=pathlib.Path)
    parser.add_argument("--count", default=4000, type=int)
    parser.add_argument("--seed", default=HELD_OUT_SEED, type=int)
    options = parser.parse_args()
    torch.set_num_threads(2)
    model = vit.load(options.model)
    report_held_out(model, *draw(options.draw, options.seed, options.count, model.config.image_size))
    if (options.model / "samples").is_dir():
        report_samples(model, options.model / "samples")


if __name__ == "__main__":
    main()
