#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the tests: tools/test.sh [PRESET], by default release.
source "$(dirname "$0")/setup.sh"
preset=${1:-release}
case $preset in aarch64 | armv7 | riscv64) packages+=("${cross_packages[@]}") ;; esac

start_log "build/$preset/test.log"
install_packages
step "Configure ($preset)" cmake --preset "$preset"
step "Build ($preset)" cmake --build --preset "$preset"
step "Test ($preset)" ctest --preset "$preset" -j "$(nproc)"
grep 'tests passed' "$log"
