#!/usr/bin/env bash
# Sets everything up (first time: one to three minutes), then runs the whole suite of scenarios.
#
#   ./scripts/verify_all.sh                     the suite, profile standard
#   ./scripts/verify_all.sh --profile smoke     the short one; all arguments go to `tallystick verify`
#
# Paths among the arguments are relative to the project folder. Exit codes: `tallystick explain
# exit-codes`; 70 when the set-up failed.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd -- "$root"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

set_up
exec .venv/bin/python -m tallystick verify "$@"
