#!/bin/bash
# Adds to the LibTorch that scripts/bootstrap.sh unpacked what it needs of CUDA: the libraries of pinned wheels.
#
#   docker/unpack_cuda.sh REQUIREMENTS
set -euo pipefail

readonly REQUIREMENTS="${1:?usage: docker/unpack_cuda.sh REQUIREMENTS}"
readonly TORCH="$HOME/.cache/calserve/libtorch-2.15.0"
wheels="$(mktemp -d)"

python3 -m pip --disable-pip-version-check --no-cache-dir download --require-hashes --no-deps --only-binary=:all: \
  --implementation cp --python-version 3.11 --abi cp311 --abi none --platform manylinux_2_28_x86_64 \
  --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_18_x86_64 \
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
  --platform manylinux1_x86_64 --dest "$wheels" -r "$REQUIREMENTS"
for wheel in "$wheels"/*.whl; do
  unzip -qo "$wheel" 'nvidia/*/lib/*' '*.dist-info/*' -d "$TORCH"
done
rm -r "$wheels"
