#!/usr/bin/env bash
# Executed instructions per multiply-accumulate of a whole int8 encode, counted under qemu-aarch64: the difference
# between two runs of a network and one. bench/insn_per_mac.sh [QEMU_CPU…], by default the three classes.
set -euo pipefail
cd "$(dirname "$0")/.."
program=build/aarch64/vitrail
[[ -x $program ]] || { echo "first: tools/test.sh aarch64"; exit 1; }
plugin=build/aarch64/libinsn_count.so
cc -O2 -shared -fPIC -o "$plugin" bench/qemu_insn_count.c

# run CPU ARGUMENTS…: `vitrail bench` of one network in int8.
run() {
  local cpu=$1
  shift
  qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$cpu" -plugin "$plugin" -d plugin "$program" bench --dtype int8 --threads 1 --no-peak "$@" 2>&1
}
count() { run "$@" | sed -n 's/.*insns \([0-9]*\).*/\1/p'; }

for cpu in "${@:-max,sve=off,sme=off}" $([[ $# == 0 ]] && echo cortex-a76 cortex-a53); do
  for arch in vit_tiny_patch16_224 vit_base_patch16_224; do
    macs=$(run "$cpu" --arch $arch --runs 1 --json | sed -n 's/.*"macs": *\([0-9]*\).*/\1/p')
    one=$(count "$cpu" --arch $arch --runs 1)
    two=$(count "$cpu" --arch $arch --runs 2)
    awk -v c="$cpu" -v a=$arch -v n=$((two - one)) -v m="$macs" 'BEGIN { printf "%-22s %-22s %.4f\n", c, a, n / m }'
  done
done
