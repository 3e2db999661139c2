#!/usr/bin/env bash
# Works through cells of the papers' tables until the time is up, and goes on where it stopped when called again.
# Usage: experiments/paper.sh RESULTS_DIR SECONDS DATA_DIR CELL...     with CELL = METHOD:DATASET:IPC
# Example: experiments/paper.sh experiments/results 540 ../shared/tfds dc:mnist:10 dc:mnist:50
# First checks the golden values on this machine's device; then copies what a reader needs of each cell to RESULTS_DIR/METHOD-DATASET-IPC/.
set -u
results=$1; deadline=$((SECONDS + $2)); data=$3; shift 3
mkdir -p "$results"
python -m pytest -q -o addopts= tests/test_golden.py tests/test_convolution.py || exit 1
for cell in "$@"; do
  IFS=: read -r method dataset ipc <<<"$cell"
  run=runs/$method-$dataset-$ipc
  if ! grep -qs '"complete": true' "$run/result.json"; then
    left=$((deadline - SECONDS))
    [ "$left" -lt 30 ] && { echo "out of time before $cell"; exit 0; }
    resume=()
    [ -f "$run/config.json" ] && resume=(--resume)
    flags=(--method "$method" --dataset "$dataset" --workdir "$run")
    [ "$method" = whole ] || flags+=(--ipc "$ipc")
    [ "$dataset" = digits ] || flags+=(--data-dir "$data")
    timeout --signal=TERM --kill-after=20 "$left" python -m experiments.run "${flags[@]}" "${resume[@]}"
    code=$?
    case $code in
      0) ;;
      124 | 143) echo "out of time in $cell"; exit 0 ;;
      *) exit "$code" ;;
    esac
  fi
  mkdir -p "$results/$method-$dataset-$ipc"
  [ ! -f "$run/condensed.npz" ] || cp "$run/condensed.npz" "dcjax/sets/$method-$dataset-$ipc.npz"  # so that it comes with the package
  for file in result.json metrics.jsonl condensed.png; do
    [ ! -f "$run/$file" ] || cp "$run/$file" "$results/$method-$dataset-$ipc/"
  done
done
