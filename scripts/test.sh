#!/usr/bin/env bash
# Sets everything up (first time: one to three minutes), then runs the checks and tests, two files
# of tests at a time.
#
#   ./scripts/test.sh              format, lint, types, import contracts, then all tests
#   ./scripts/test.sh -k buckets   only pytest, with these arguments
#
# Paths among the arguments are relative to the project folder. Exit codes are those of the step
# that failed; 70 when the set-up failed.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd -- "$root"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

step() {
    say "$*"
    ".venv/bin/$1" "${@:2}"
}

set_up
if [[ $# -eq 0 ]]; then
    step ruff format --check .
    step ruff check .
    step mypy
    step lint-imports
    # Integration tests wait more than they compute. A file stays with one process, since its tests
    # may share a server.
    set -- -n 2 --dist loadfile
fi
exec .venv/bin/python -m pytest "$@"
