#!/usr/bin/env bash
# Sets everything up (first time: one to three minutes), then judges the harness by planted bugs.
#
#   ./scripts/selftest.sh                   every planted bug, some minutes
#   ./scripts/selftest.sh --only no-dedup   all arguments go to `tallystick selftest`
#
# Exit codes: 0 every bug was found and no baseline raised an alarm, 1 otherwise, 70 when the set-up
# failed.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd -- "$root"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

set_up
exec .venv/bin/python -m tallystick selftest "$@"
