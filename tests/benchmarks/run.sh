#!/bin/bash
# Runs every benchmark of a build, one after the other, and writes Markdown to stdout; progress goes to stderr.
#
#   tests/benchmarks/run.sh [BUILD_DIR [MODEL_DIRECTORY...]]      build/release is the default; more models to load
#
# CALSERVE_PHOTO names a JPEG file that those models are sent too. Nothing else should run on the machine meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly BUILD="${1:-build/release}"
readonly BENCHMARKS="$BUILD/tests/benchmarks"
[[ -d "$BENCHMARKS" ]] || { echo "$BENCHMARKS is not there: ./dev build first" >&2 && exit 2; }
failed=0

run() {
  echo "-- $1" >&2
  "$@" || { failed=1 && echo "failed: $*" >&2; }
}

cat <<END
# Benchmarks

Commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)$(git diff --quiet HEAD 2>/dev/null || echo ' with changes'), \
$(date -u +%F' '%R) UTC, $(nproc) cores, $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), \
build $(sed -n 's/^CMAKE_BUILD_TYPE:STRING=//p' "$BUILD/CMakeCache.txt").
END

run "$BENCHMARKS/load/load_benchmark" examples/fashion_mnist/models/fashion_mnist
run "$BENCHMARKS/load/load_benchmark" --blocking examples/fashion_mnist/models/fashion_mnist
run "$BENCHMARKS/load/load_benchmark" tests/fixtures/models/fashion_mnist_pt2
run "$BENCHMARKS/load/fairness_benchmark"
for model in "${@:2}"; do
  run "$BENCHMARKS/load/load_benchmark" "$model" 5
  [[ -z "${CALSERVE_PHOTO:-}" ]] || run "$BENCHMARKS/load/load_benchmark" --photo "$CALSERVE_PHOTO" "$model" 5
  run "$BENCHMARKS/load/overload_benchmark" "$model" 30 --batching-queue-timeout 350ms
done

for program in "$BENCHMARKS"/*/*_benchmark; do
  [[ "$program" == */load/* ]] && continue
  printf '\n## %s\n\n~~~\n' "$(basename "$program")"
  run "$program" --benchmark_min_time=0.5
  echo '~~~'
done
cat >&2 <<'END'
Not run here, for it needs the packages of tests/oracles/requirements.txt:
  tests/benchmarks/calibration/field_benchmark.py     our fits and metrics beside the field's packages
END
exit "$failed"
