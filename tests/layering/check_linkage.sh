#!/bin/bash
# Fails where a program loads shared libraries of gRPC, Protobuf or Abseil, which it has from archives: two copies in
# one process would each have globals of their own.
#
#   check_linkage.sh PROGRAM...
set -euo pipefail

failed=0
for program in "$@"; do
  loaded="$(ldd "$program")"
  if shared="$(grep -E 'lib(grpc|gpr|upb|address_sorting|protobuf|absl_)' <<<"$loaded")"; then
    printf '%s loads:\n%s\n' "$program" "$shared" >&2
    failed=1
  fi
done
exit "$failed"
