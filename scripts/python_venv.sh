#!/bin/bash
# Makes a virtual environment with exactly what a pinned requirements file lists; does nothing where it is there.
#
#   scripts/python_venv.sh DIRECTORY REQUIREMENTS
set -euo pipefail

readonly VENV="${1:?usage: scripts/python_venv.sh DIRECTORY REQUIREMENTS}" REQUIREMENTS="${2:?}"
readonly DONE="$VENV/requirements.installed"  # written last: a set-up that was cut short is made anew

cmp -s "$REQUIREMENTS" "$DONE" && exit 0
rm -rf "$VENV"
python3 -m venv "$VENV"
"$VENV/bin/pip" --disable-pip-version-check install --quiet --no-deps --requirement "$REQUIREMENTS"
"$VENV/bin/pip" --disable-pip-version-check check
cp "$REQUIREMENTS" "$DONE"
