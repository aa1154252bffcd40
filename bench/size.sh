#!/usr/bin/env bash
# The size of a program that classifies frames from memory (examples/camera), stripped, with all CPU classes and
# the C++ library inside and without oneDNN: for this architecture and, where its cross compiler is installed, for 64-bit Arm.
set -euo pipefail
cd "$(dirname "$0")/.."

# size NAME BUILD_FOLDER CONFIGURE_ARGUMENT…
size() {
  local name=$1 build=$2
  shift 2
  cmake -S . -B "$build" "$@" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DVITRAIL_ONEDNN=OFF \
    -DVITRAIL_BENCH=OFF -DVITRAIL_TESTS=OFF -DVITRAIL_TOOLS=OFF \
    -DCMAKE_EXE_LINKER_FLAGS="-static-libstdc++ -static-libgcc -Wl,--gc-sections" >/dev/null
  cmake --build "$build" --target camera >/dev/null
  local strip
  strip=$(sed -n 's/^CMAKE_STRIP:FILEPATH=//p' "$build/CMakeCache.txt")
  "$strip" -o "$build/camera.stripped" "$build/examples/camera"
  awk -v n="$name" -v b="$(stat -c %s "$build/camera.stripped")" 'BEGIN { printf "%-8s %.2f MB\n", n, b / 1e6 }'
}

size "$(uname -m)" build/size -G Ninja
if [[ $(uname -m) != aarch64 ]] && command -v aarch64-linux-gnu-g++ >/dev/null; then
  size aarch64 build/size-aarch64 -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/toolchains/aarch64-linux-gnu.cmake"
fi
