#!/bin/bash
# Runs a link command with the system's shared libraries of gRPC, Protobuf and Abseil in place of their archives.
set -euo pipefail

arguments=()
for argument in "$@"; do
  case "${argument##*/}" in
    libgrpc*.a | libgpr.a | libupb.a | libaddress_sorting.a | libprotobuf*.a | libabsl_*.a)
      argument="${argument%.a}.so"
      ;;
  esac
  arguments+=("$argument")
done
exec "${arguments[@]}"
