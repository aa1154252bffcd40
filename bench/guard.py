#!/usr/bin/env python3
"""Has a change made the networks slower? Usable on a noisy machine, because only ratios of one process are looked at: the
share of the register-only peak that the whole int8 encode reaches, and int8 over f32.

  tools/test.sh && taskset -c 0 bench/guard.py [ROUNDS]      # by default 5; the best round counts

Exits with 1 when a ratio is below the bound of this CPU's class. The bounds are nine tenths of what the slowest CPU of the
class gave that was measured (Zen 1 multiplies f32 as fast as int8).
"""
import json
import subprocess
import sys

BOUNDS = {  # class: network: (share of the peak, int8 over f32)
    "avx2": {"vit_tiny_patch16_224": (0.62, 0.90), "vit_base_patch16_224": (0.69, 0.90)},
    "avx_vnni": {"vit_tiny_patch16_224": (0.55, 3.00), "vit_base_patch16_224": (0.65, 3.50)},
    "avx512_vnni": {"vit_tiny_patch16_224": (0.53, 2.95), "vit_base_patch16_224": (0.66, 3.80)},
    "amx_int8": {"vit_tiny_patch16_224": (0.13, 5.80), "vit_base_patch16_224": (0.21, 9.80)},
}
NETWORKS = ["vit_tiny_patch16_224", "vit_base_patch16_224"]


def bench(network):
    run = subprocess.run(["build/release/vitrail", "bench", "--arch", network, "--threads", "1", "--runs", "9", "--json"],
                         capture_output=True, text=True, check=True)
    results = {r["dtype"]: r for r in map(json.loads, run.stdout.splitlines())}
    product = next(line for line in results["int8"]["kernels"] if line.startswith("int8 product: "))
    return (product.split(": ")[1], results["int8"]["of_peak"], results["f32"]["min_ms"] / results["int8"]["min_ms"])


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    failed = False
    for network in NETWORKS:
        results = [bench(network) for _ in range(rounds)]
        name, found = results[0][0], (max(r[1] for r in results), max(r[2] for r in results))
        bounds = BOUNDS.get(name, {}).get(network)
        for what, value, bound in zip(("share of the peak", "int8 over f32"), found, bounds or (None, None)):
            verdict = "no bound for this class yet" if bound is None else f"at least {bound}"
            if bound is not None and value < bound:
                failed = True
                verdict += ": TOO SLOW"
            print(f"{name:12} {network:22} {what:18} {value:.3f}  {verdict}")
    sys.exit(failed)


main()
