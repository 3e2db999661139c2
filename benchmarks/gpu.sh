#!/usr/bin/env bash
# The measurements of one GPU: correctness first, then both sides in float32 and in TF32.
# Usage: benchmarks/gpu.sh OUT_DIR
set -u
mkdir -p "$1"
python -m pytest -q -o addopts= tests/test_golden.py tests/test_convolution.py tests/test_networks.py || exit 1
python -m benchmarks.golden ours --precision tensorfloat32  # says how far TF32 departs; float32 must not
for precision in float32 tensorfloat32; do
  timeout 270 python -m benchmarks.run --full --only step outer students idc --seconds 3 --precision "$precision" \
    --out "$1/gpu-$precision.json"
done
