#!/usr/bin/env python3
"""Draws models/demo/samples: the first two pictures of every class from the samples seed, as a PNG and as a JPEG.

    python3 tools/demo/make_samples.py --draw build/release/tools/demo/draw_signs
"""

import argparse
import pathlib
import subprocess
import tempfile

from PIL import Image


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", required=True, help="the draw_signs program")
    parser.add_argument("--out", default=root / "models/demo/samples", type=pathlib.Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([options.draw, "--samples", directory], check=True)
        for file in sorted(pathlib.Path(directory).iterdir()):
            picture = Image.open(file)
            if file.stem.endswith("-1"):
                picture.save(options.out / f"{file.stem}.png", optimize=True)
            else:
                picture.save(options.out / f"{file.stem}.jpg", quality=90)


if __name__ == "__main__":
    main()
