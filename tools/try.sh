#!/usr/bin/env bash
# Installs what is missing, builds, and labels the pictures of the repository with the network of the repository.
source "$(dirname "$0")/setup.sh"

start_log build/release/try.log
install_packages
step "Configure" cmake --preset release
step "Build the program" cmake --build --preset release --target vitrail_program

echo
set -x
build/release/vitrail classify -m models/demo -i models/demo/samples --annotate build/demo.png
