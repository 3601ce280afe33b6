#!/bin/bash
# A pre-commit hook: format and layering, in seconds. To use it:
#
#   ln -s ../../scripts/pre_commit.sh .git/hooks/pre-commit
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"

./dev format --check
python3 tests/layering/check_includes.py
