#!/bin/bash
# The checks of ./dev lint that need no test run: layering, shell, proto and C++ lint. Run it through ./dev lint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BUF=github.com/bufbuild/buf/cmd/buf@v1.75.0
# Rooms whose files include neither torch's nor gRPC's headers: seconds a file instead of half a minute.
readonly TIDY_ROOMS=(calibration text server/access server/base server/batching server/config server/feedback server/http
  server/logging server/monitoring server/prediction server/recalibration)

check_shell() {
  mapfile -d '' files < <(find dev .ci scripts tests examples -type f \( -name '*.sh' -o -path dev -o -path .ci/run \) -print0)
  shellcheck "${files[@]}"
}

# buf is in no Debian package; where Go is, it is built once into Go's own bin folder.
check_proto() {
  local buf
  buf="$(command -v buf || echo "${GOBIN:-${GOPATH:-$HOME/go}/bin}/buf")"
  if [[ ! -x "$buf" ]]; then
    if ! command -v go >/dev/null; then
      echo "SKIPPED: buf lint (no buf, and no Go to build it with)"
      return
    fi
    echo "building $BUF, some minutes"
    go install "$BUF"
  fi
  (cd proto && "$buf" lint)
}

check_tidy() {
  [[ -f build/release/compile_commands.json ]] || ./dev build
  find "${TIDY_ROOMS[@]}" -name '*.cc' -print0 |
    xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build/release --quiet --extra-arg=-Wno-unknown-warning-option 2>&1 | sed '/ warnings\? generated\.$/d'
}

echo "-- layering"
python3 tests/layering/check_includes.py
echo "-- shellcheck"
check_shell
echo "-- buf lint"
check_proto
echo "-- clang-tidy"
check_tidy
