#!/usr/bin/env python3
"""Has a change made the networks slower? Usable on a noisy machine, because only ratios of one process are looked at: the
share of the register-only peak that the whole int8 encode reaches, and int8 over f32.

  tools/test.sh && taskset -c 0 bench/guard.py [ROUNDS]      # by default 5; the best round counts

Exits with 1 when a ratio is below the bound of the kernels that ran. The bounds are nine tenths of what the slowest CPU gave
that was measured with them (Zen 1 multiplies f32 as fast as int8).
"""
import argparse
import json
import subprocess
import sys

BOUNDS = {  # int8 product, row kernels (f32's product is one): network: (share of the peak, int8 over f32)
    ("avx2", "avx2"): {"vit_tiny_patch16_224": (0.62, 0.90), "vit_base_patch16_224": (0.69, 0.90)},
    ("avx_vnni", "avx2"): {"vit_tiny_patch16_224": (0.59, 3.00), "vit_base_patch16_224": (0.67, 3.50)},
    ("avx512", "avx512"): {"vit_tiny_patch16_224": (0.69, 1.50), "vit_base_patch16_224": (0.76, 1.68)},
    ("avx512_vnni", "avx512"): {"vit_tiny_patch16_224": (0.53, 2.95), "vit_base_patch16_224": (0.72, 3.80)},
    ("amx_int8", "avx512"): {"vit_tiny_patch16_224": (0.12, 5.80), "vit_base_patch16_224": (0.21, 9.80)},
}
NETWORKS = ["vit_tiny_patch16_224", "vit_base_patch16_224"]


def bench(network):
    run = subprocess.run(["build/release/vitrail", "bench", "--arch", network, "--threads", "1", "--runs", "9", "--json"],
                         capture_output=True, text=True, check=True)
    results = {r["dtype"]: r for r in map(json.loads, run.stdout.splitlines())}
    kernels = dict(line.split(": ", 1) for line in results["int8"]["kernels"])
    return ((kernels["int8 product"], kernels["row kernels"]), results["int8"]["of_peak"],
            results["f32"]["min_ms"] / results["int8"]["min_ms"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=5, metavar="ROUNDS")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error(f"ROUNDS: found {rounds}, expected at least 1")
    failed = False
    for network in NETWORKS:
        results = [bench(network) for _ in range(rounds)]
        kernels, found = results[0][0], (max(r[1] for r in results), max(r[2] for r in results))
        bounds = BOUNDS.get(kernels, {}).get(network)
        for what, value, bound in zip(("share of the peak", "int8 over f32"), found, bounds or (None, None)):
            verdict = "no bound for these kernels yet" if bound is None else f"at least {bound}"
            if bound is not None and value < bound:
                failed = True
                verdict += ": TOO SLOW"
            print(f"{', '.join(kernels):19} {network:22} {what:18} {value:.3f}  {verdict}")
    sys.exit(failed)


main()
