#!/bin/bash
# Holds the rooms that lock against clang's thread-safety analysis, with the include paths of a configured build:
#
#   scripts/thread_safety.sh [BUILD_DIRECTORY]
#
# First makes sure that the analysis reports a guarded member that is read without its lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly COMMANDS="${1:-build/release}/compile_commands.json"
readonly ROOMS=(base batching feedback monitoring prediction recalibration telemetry)
readonly CHECK=(clang++ -fsyntax-only -Wthread-safety -Werror -x c++)

# Prints the arguments that find and choose headers (-I, -isystem, -D, -std) of one file's command, a line each.
header_arguments() {
  python3 - "$COMMANDS" "$1" <<'END'
import json, os, re, shlex, sys
commands, path = sys.argv[1], os.path.abspath(sys.argv[2])
for entry in json.load(open(commands)):
    if os.path.abspath(os.path.join(entry["directory"], entry["file"])) == path:
        words = iter(shlex.split(entry["command"]))
        for word in words:
            if word == "-isystem":
                print(word, next(words), sep="\n")
            elif re.match(r"-(I|D|std=)", word):
                print(word)
        break
else:
    sys.exit(f"{path} is not in {commands}: build first")
END
}

check() {
  local arguments
  mapfile -t arguments < <(header_arguments "$1")
  ((${#arguments[@]})) || exit 1
  "${CHECK[@]}" "${arguments[@]}" "$1"
}

check_that_analysis_works() {
  local report
  report="$("${CHECK[@]}" -std=c++20 -I. - 2>&1 <<'END' || true
#include "server/base/mutex.h"
struct Counter {
  int Get() { return value; }
  calserve::Mutex mu;
  int value ABSL_GUARDED_BY(mu) = 0;
};
END
)"
  [[ "$report" == *"requires holding mutex 'mu'"* ]] || {
    printf 'the analysis misses a seeded fault; it said:\n%s\n' "$report" >&2
    exit 1
  }
}

check_that_analysis_works
count=0
for room in "${ROOMS[@]}"; do
  [[ -d "server/$room" ]] || continue
  while read -r file; do
    check "$file"
    count=$((count + 1))
  done < <(find "server/$room" -name '*.cc' | sort)
done
echo "thread-safety analysis: $count files, no finding"
