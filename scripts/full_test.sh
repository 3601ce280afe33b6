#!/bin/bash
# What ./dev test --full runs after the build, step by step, however the steps before went. Writes a log in Markdown
# that is committed as docs/verification/ISSUE.md:
#
#   scripts/full_test.sh LOG
# shellcheck disable=SC2317  # step calls the functions by name
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LOG="${1:?usage: scripts/full_test.sh LOG}"
readonly OUTPUT=build/full_test
failed=0

# How many of ctest's tests passed, and those that did not run.
counts() { grep -E '% tests passed|\*\*\*(Skipped|Failed|Timeout|Not Run|Exception)' "$1" || true; }

# Runs a function, shows what it prints, and adds a line and the end of its output to the log. In the functions
# commands are chained by &&, because `|| status=$?` turns errexit off in what it calls.
step() {
  local name="$1" run="$2" start=$SECONDS status=0
  printf '\n-- %s\n' "$name"
  "$run" 2>&1 | tee "$OUTPUT/$run.log" || status=$?
  ((status == 0)) || failed=1
  printf '| %s | %s | %d s |\n' "$name" "$( ((status)) && echo "**failed**" || echo passed)" $((SECONDS - start)) \
    >>"$OUTPUT/table.md"
  printf '\n### %s\n~~~\n%s\n%s\n~~~\n' "$name" "$(counts "$OUTPUT/$run.log")" "$(tail -n 12 "$OUTPUT/$run.log")" \
    >>"$OUTPUT/ends.md"
}

# Where what runs containers cannot be installed, the tests of images say SKIPPED.
release_tests() {
  scripts/bootstrap.sh --full || return
  scripts/bootstrap.sh --images || echo "no engine for containers could be installed"
  CALSERVE_KILLS=200 ctest --preset release
}

# Not what measures time or memory: instrumented code has other figures.
address_sanitizer() {
  ./dev build-preset asan &&
    UBSAN_OPTIONS=print_stacktrace=1 ctest --preset asan --label-regex '^(unit|integration)$' \
      --label-exclude '^(full|serial)$' --parallel "$(nproc)"
}

# Builds the tests of the rooms that link neither gRPC nor torch, and no others.
thread_sanitizer() {
  local tests
  ./dev build-preset tsan help >"$OUTPUT/configure.log" || return
  mapfile -t tests < <(ctest --preset tsan -N | sed -n 's/^ *Test *#[0-9]*: //p')
  ((${#tests[@]})) || { echo "no test has the label tsan" && return 1; }
  ./dev build-preset tsan "${tests[@]}" && ctest --preset tsan --parallel "$(nproc)"
}

thread_safety() { scripts/bootstrap.sh --lint && scripts/thread_safety.sh; }

# The committed oracle values against the third-party packages, freshly installed.
oracles() {
  python3 -m venv build/oracles-venv &&
    build/oracles-venv/bin/pip install --quiet -r tests/oracles/requirements.txt &&
    build/oracles-venv/bin/python tests/oracles/make_oracles.py --check &&
    build/oracles-venv/bin/python tests/oracles/make_method_oracles.py --check
}

# Real models, exported by the tool that users have, served and compared with PyTorch. The environment is 5.4 GB.
exported_models() {
  sort -u tools/requirements.txt tests/end_to_end/kserve_requirements.txt >"$OUTPUT/export-requirements.txt" &&
    scripts/python_venv.sh build/export-venv "$OUTPUT/export-requirements.txt" &&
    build/export-venv/bin/pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
      --dest "$OUTPUT/photos" scikit-learn==1.9.1 &&
    unzip -qjo "$OUTPUT"/photos/*.whl 'sklearn/datasets/images/*.jpg' -d "$OUTPUT/photos" &&
    for test in export_test export_families_test export_modules_test export_refusals_test; do
      build/export-venv/bin/python "tests/end_to_end/$test.py" --command build/release/client/calserve \
        --server build/release/server/calserve-server --photos "$OUTPUT/photos" || return
    done
}

rm -rf "$OUTPUT" && mkdir -p "$OUTPUT" "$(dirname "$LOG")"
step "all tests, 200 kills" release_tests
step "AddressSanitizer and UndefinedBehaviorSanitizer" address_sanitizer
step "ThreadSanitizer" thread_sanitizer
step "clang -Wthread-safety" thread_safety
step "live third-party packages" oracles
step "models exported from PyTorch" exported_models

{
  echo "# \`./dev test --full\`"
  echo
  echo "Commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes'), $(date -u +%F' '%R) UTC," \
    "$(nproc) cores, $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)."
  echo
  printf '| step | result | time |\n|---|---|---|\n'
  cat "$OUTPUT/table.md"
  printf '\n## How each step ended\n'
  cat "$OUTPUT/ends.md"
} >"$LOG"
echo "log: $LOG"
exit "$failed"
