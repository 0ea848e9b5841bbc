# Sourced by the other scripts: a virtual environment in .venv with exactly the locked packages.
#   environment runtime|dev|bench|lock
# Installing is skipped when what is installed is already that of the lock file.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

environment() {
    local group=$1 python wanted
    if [ ! -x .venv/bin/python ]; then
        for python in python3.11 python3.12 python3.13 python3; do
            if command -v "$python" >/dev/null &&
                "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
                break
            fi
            python=
        done
        if [ -z "$python" ]; then
            say "Python 3.11 or newer is needed and was not found"
            return 1
        fi
        say "making a virtual environment in .venv"
        if ! "$python" -m venv .venv; then
            rm -rf .venv
            say "Python's venv module is missing; on Debian: apt-get install python3-venv"
            return 1
        fi
    fi
    if [ "$group" = lock ]; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
        return
    fi
    wanted="$group $(cat "requirements/$group.txt" pyproject.toml | cksum)"
    if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
        # What a larger group has brought serves a smaller one as well.
        case "$(cat .venv/installed 2>/dev/null)" in
        "bench $(cat requirements/bench.txt pyproject.toml | cksum)") return ;;
        "dev $(cat requirements/dev.txt pyproject.toml | cksum)") [ "$group" = runtime ] && return ;;
        esac
        say "installing the $group packages (once; a minute or two)"
        # The lock is complete. Without --no-deps pip resolves again, and an older pip then refuses
        # pins of packages that others want with an extra (coverage[toml]).
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
            -r "requirements/$group.txt"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
        printf '%s' "$wanted" >.venv/installed
    fi
}
