# shellcheck shell=bash
# Set-up that verify_all.sh and test.sh share; sourced by both, with `root` set to the project folder.
# Needs Python >= 3.11 with venv and pip, nothing else. A failed set-up ends with 70, never with 1.

say() {
    printf '[set-up] %s\n' "$*" >&2
}

# Sets `python` to a Python that can make the environment: $PYTHON if set, else the first that fits.
find_python() {
    local candidate found='' probe='import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)'
    local -a candidates=(python3 python3.11 python3.12 python3.13 python3.14)
    if [[ -n "${PYTHON:-}" ]]; then
        candidates=("$PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        # Tried by running it: a name on PATH may be a shim of a version that is not installed.
        "$candidate" -c "$probe" >/dev/null 2>&1 </dev/null || continue
        found="$candidate"
        if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1 </dev/null; then
            python="$candidate"
            return 0
        fi
    done
    if [[ -n "$found" ]]; then
        say "failed: $found has no venv with pip; install it (Debian, Ubuntu: apt install python3-venv)"
    elif [[ -n "${PYTHON:-}" ]]; then
        say "failed: PYTHON=$PYTHON is no Python >= 3.11; name another or unset it"
    else
        say "failed: no Python >= 3.11 on PATH; install one, or name it: PYTHON=/path/to/python3 $0"
    fi
    exit 70
}

# Makes .venv and brings Toxiproxy; returns when both are ready.
set_up() {
    local python child code=0
    # Both would make Python look elsewhere than in this folder and in .venv.
    unset PYTHONHOME PYTHONSAFEPATH
    find_python
    # In the background and waited for, so that a signal to this script is passed on at once.
    "$python" -m harness.provision &
    child=$!
    trap 'stop_set_up "$child" TERM 143' TERM
    trap 'stop_set_up "$child" INT 130' INT
    wait "$child" || code=$?
    trap - TERM INT
    if [[ "$code" -ne 0 ]]; then
        exit 70
    fi
}

stop_set_up() {
    trap - TERM INT
    say 'interrupted'
    kill -s "$2" "$1" 2>/dev/null || true
    wait "$1" || true
    exit "$3"
}
