#!/usr/bin/env python3
"""Trains the demo network from freshly drawn pictures and writes it to models/demo. No picture is seen twice.

    python3 tools/demo/train.py --draw build/release/tools/demo/draw_signs
"""

import argparse
import concurrent.futures
import copy
import math
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

import vit

TRAINING_SEED, VALIDATION_SEED = 1_000_000_000, 2_000_000_000  # as in signs.hpp
CHUNK = 8192  # pictures drawn at a time: while one chunk is learnt from, the next is drawn


class Pictures:
    """Draws consecutive chunks of a set; the next one in the background."""

    def __init__(self, program, seed, chunk, size):
        self.program, self.seed, self.chunk, self.size = program, seed, chunk, size
        self.directory = tempfile.TemporaryDirectory()
        self.first = 0
        self.drawing = None

    def start(self):
        files = [f"{self.directory.name}/{name}-{self.first}.npy" for name in ("pictures", "labels")]
        arguments = ["--seed", self.seed, "--first", self.first, "--count", self.chunk, "--size", self.size,
                     "-o", files[0], "--labels-out", files[1]]
        self.drawing = files, subprocess.Popen([self.program, *map(str, arguments)])
        self.first += self.chunk

    def next(self, last=False):
        if self.drawing is None:
            self.start()
        files, process = self.drawing
        if process.wait() != 0:
            raise SystemExit("train.py: draw_signs failed")
        arrays = [np.load(file) for file in files]
        for file in files:
            os.remove(file)
        if not last:
            self.start()
        return arrays


def initialize(model):
    """Xavier, but for two things. The positions start as sines and cosines of row and column: a small network learns
    where its patches are much sooner. And every layer starts out adding little to the residual stream, so the first
    steps are calm."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
            torch.nn.init.zeros_(module.bias)
    for layer in model.vit["encoder"]["layer"]:
        for dense in (layer.attention["output"]["dense"], layer.output["dense"]):
            with torch.no_grad():
                dense.weight *= 0.2
    embeddings = model.vit["embeddings"]
    projection = embeddings.patch_embeddings["projection"]
    torch.nn.init.xavier_uniform_(projection.weight.view(len(projection.weight), -1))
    torch.nn.init.zeros_(projection.bias)
    torch.nn.init.normal_(embeddings.cls_token, std=0.02)
    d, side = model.config.hidden_size, model.config.image_size // model.config.patch_size
    frequencies = math.pi / side * 2.0 ** torch.linspace(-0.5, math.log2(side) - 0.5, d // 4)
    angles = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # [side, d / 2]
    grid = torch.cat([waves[:, None].expand(side, side, -1), waves[None].expand(side, side, -1)], 2)
    with torch.no_grad():
        embeddings.position_embeddings[0, 1:] = 0.3 * grid.reshape(side * side, d)


def optimizer_of(model, lr, weight_decay):
    """Decay is for matrices: it keeps every row's largest weight, and so the int8 step, small."""
    groups = [{"params": [], "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim >= 2 and "position" not in name and "cls" not in name
        groups[0 if is_matrix else 1]["params"].append(parameter)
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))


class Shards:
    """The same network once per thread, each with gradients of its own for its share of the batch. Threads inside each
    of these small products would spend more time waiting for one another."""

    def __init__(self, model, threads):
        self.models = [model] + [copy.deepcopy(model) for _ in range(threads - 1)]
        for replica in self.models[1:]:
            for parameter, own in zip(model.parameters(), replica.parameters()):
                own.data = parameter.data
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)

    def gradients(self, x, targets):
        """Leaves the gradient of the batch's mean loss in the first model, and returns that loss."""
        def work(model, x, targets):
            model.zero_grad()
            loss = F.cross_entropy(model(x), targets, label_smoothing=0.02, reduction="sum") / batch
            loss.backward()
            return loss.item()

        batch, n = len(x), len(self.models)
        losses = list(self.pool.map(work, self.models, x.tensor_split(n), targets.tensor_split(n)))
        for parameters in zip(*(model.parameters() for model in self.models)):
            for other in parameters[1:]:
                parameters[0].grad += other.grad
        return sum(losses)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", required=True, help="the draw_signs program")
    parser.add_argument("--out", default=root / "models/demo", type=pathlib.Path)
    parser.add_argument("--pictures", default=200_000, type=int)
    parser.add_argument("--batch", default=64, type=int)
    parser.add_argument("--lr", default=1e-3, type=float)
    parser.add_argument("--weight-decay", default=0.05, type=float)
    parser.add_argument("--seed", default=1, type=int, help="of the first weights and the order of the pictures")
    parser.add_argument("--threads", default=2, type=int)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(1)  # per shard
    labels = subprocess.run([options.draw, "--labels"], check=True, capture_output=True, text=True).stdout.split()
    model = vit.Vit(vit.Config(labels))
    initialize(model)
    shards = Shards(model, options.threads)
    optimizer = optimizer_of(model, options.lr, options.weight_decay)
    size = model.config.image_size
    val_pictures, val_labels = Pictures(options.draw, VALIDATION_SEED, 1024, size).next(last=True)

    source = Pictures(options.draw, TRAINING_SEED, CHUNK, size)
    steps, warmup = options.pictures // options.batch, 200
    step, running, start = 0, 0.0, time.time()
    while step < steps:
        pictures, targets = source.next(last=step + CHUNK // options.batch >= steps)
        for batch in torch.randperm(len(pictures)).split(options.batch):
            if step == steps:
                break
            rate = min(step / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = options.lr * rate
            batch = batch.numpy()
            loss = shards.gradients(vit.normalize(pictures[batch]), torch.from_numpy(targets[batch]).long())
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            running += 0.02 * (loss - running) if step > 1 else loss
            if step % 100 == 0 or step == steps:
                accuracy = ""
                if step % 500 == 0 or step == steps:
                    accuracy = f"  validation {100 * (vit.predict(model, val_pictures) == val_labels).mean():.2f} %"
                print(f"step {step}/{steps}  loss {running:.3f}{accuracy}  {time.time() - start:.0f} s "
                      f"({time.process_time():.0f} s of CPU)", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    vit.save(model, options.out)


if __name__ == "__main__":
    main()
