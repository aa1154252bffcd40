#!/usr/bin/env bash
# Executed instructions per multiply-accumulate of ONNX Runtime's own 64-bit ARM library under qemu-aarch64, counted as
# ../insn_per_mac.sh counts ours. bench/peers/insn_per_mac.sh [QEMU_CPU], by default cortex-a76.
#
# Needs, beside what ../insn_per_mac.sh needs, `npm install --prefix bench/peers --ignore-scripts` and the C header of
# ONNX Runtime (Debian 13: libonnxruntime-dev), by default in /usr/include/onnxruntime, else in ONNXRUNTIME_INCLUDE.
set -euo pipefail
cd "$(dirname "$0")/../.."
cpu=${1:-cortex-a76}
include=${ONNXRUNTIME_INCLUDE:-/usr/include/onnxruntime}
library=$(find "$PWD/bench/peers/node_modules/onnxruntime-node/bin" -path '*linux/arm64/libonnxruntime.so.1' 2>/dev/null) || true
[[ -f $include/onnxruntime_c_api.h ]] || { echo "no $include/onnxruntime_c_api.h: set ONNXRUNTIME_INCLUDE"; exit 1; }
[[ $library ]] || { echo "first: npm install --prefix bench/peers --ignore-scripts"; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -shared -fPIC -o "$work/count.so" bench/qemu_insn_count.c
aarch64-linux-gnu-gcc -O2 -I"$include" bench/peers/onnxruntime_runs.c "$library" -lm -Wl,-rpath,"$(dirname "$library")" \
  -Wl,--allow-shlib-undefined -o "$work/runs"

# The library looks for the core's kind in /proc/cpuinfo, where qemu before 8.1 shows the host's: a Cortex-A76 there.
cat >"$work/cpuinfo" <<'CPU'
processor	: 0
BogoMIPS	: 50.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0b
CPU revision	: 1

CPU
count() {
  unshare --mount bash -c "mount --bind '$work/cpuinfo' /proc/cpuinfo && exec qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $cpu \
    -plugin '$work/count.so' -d plugin '$work/runs' '$work/model.onnx' $1" 2>&1 | sed -n 's/.*insns \([0-9]*\).*/\1/p'
}

# multiply-accumulates as `vitrail bench` counts them
for arch in vit_tiny_patch16_224:1253683200 vit_base_patch16_224:17563828224; do
  for form in dynamic "dynamic, LayerNorm unfused" f32; do
    node -e "import('$PWD/bench/peers/vit_onnx.mjs').then((m) => m.writeVit('$work/model.onnx', m.architectures['${arch%:*}'], '$form'))"
    awk -v c="$cpu" -v a="${arch%:*}" -v f="$form" -v n=$(($(count 2) - $(count 1))) -v m="${arch#*:}" \
      'BEGIN { printf "%-12s %-22s %-28s %.4f\n", c, a, f, n / m }'
  done
done
