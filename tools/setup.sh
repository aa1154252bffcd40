#!/usr/bin/env bash
# Installs what building Vitrail needs: packages of the distribution, and only those that are missing.
# try.sh and test.sh source this file for that and for `step`; run alone it installs and does nothing else.
# With --cross: also what the presets aarch64, armv7 and riscv64 need, compilers and an emulator.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(g++ cmake ninja-build libxsimd-dev nlohmann-json3-dev libcli11-dev doctest-dev libbenchmark-dev libjpeg-dev
  libpng-dev libwebp-dev)
if [[ $(uname -m) == x86_64 ]]; then packages+=(libdnnl-dev); fi

cross_packages=(g++-aarch64-linux-gnu g++-arm-linux-gnueabihf g++-riscv64-linux-gnu qemu-user)
if [[ ${1:-} == --cross ]]; then packages+=("${cross_packages[@]}"); fi

# start_log FILE: what the steps print goes there.
start_log() {
  log=$1
  mkdir -p "$(dirname "$log")"
  : >"$log"
}

# step NAME COMMAND…: one line with the time it took. On a failure the end of the log, and the script ends.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '%-52s' "$name"
  printf '\n### %s: %s\n' "$name" "$*" >>"$log"
  if "$@" >>"$log" 2>&1 </dev/null; then
    printf '%4d s\n' $((SECONDS - start))
  else
    printf 'FAILED\n\n'
    tail -n 30 "$log"
    printf '\n%s failed. The whole log: %s\n' "$name" "$log"
    exit 1
  fi
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then echo "$package"; fi
  done
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo ${CI:+-n} "$@"; fi
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }

# An update may fail for a source that has nothing to do with these packages: what can be installed decides.
update_and_install() {
  apt_get update || true
  apt_get install --no-install-recommends "$@"
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    printf 'This is not a Debian or an Ubuntu: install by hand what these packages have there, where it is missing:\n  %s\n' \
      "${packages[*]}"
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then return; fi
  if [[ $(id -u) != 0 ]] && ! command -v sudo >/dev/null; then
    printf 'These packages are missing, and installing them needs root or sudo:\n  %s\n' "${missing[*]}"
    exit 1
  fi
  echo "Missing: ${missing[*]}"
  step "Install ${#missing[@]} packages" update_and_install "${missing[@]}"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  start_log build/setup.log
  install_packages
fi
