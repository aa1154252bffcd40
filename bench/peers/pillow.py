#!/usr/bin/env python3
"""Pillow's resize and Vitrail's of the same picture (4000 x 3000 to a short side of 256, bicubic), in turns, in one run.

  tools/test.sh && taskset -c 0 python3 bench/peers/pillow.py     # Debian: python3-pil
"""
import json
import statistics
import subprocess
import time

from PIL import Image, __version__

ROUNDS = 9
picture = Image.effect_noise((4000, 3000), 64).convert("RGB")
ours, theirs = [], []
for _ in range(ROUNDS):
    run = subprocess.run(["build/release/bench/vitrail_bench", "--benchmark_filter=resize_bicubic", "--benchmark_format=json",
                          "--benchmark_min_time=0.1"], capture_output=True, text=True, check=True)
    ours.append(json.loads(run.stdout)["benchmarks"][-1]["real_time"] / 1000)  # of the best class
    start = time.perf_counter()
    picture.resize((4000 * 256 // 3000, 256), Image.Resampling.BICUBIC)
    theirs.append(1000 * (time.perf_counter() - start))
print(f"Vitrail {statistics.median(ours):.2f} ms, Pillow {__version__} {statistics.median(theirs):.2f} ms, "
      f"median of {ROUNDS} ratios {statistics.median(t / o for t, o in zip(theirs, ours)):.2f}")
