#!/bin/sh
# Makes .venv with what is locked, by uv if it can be had, else by pip. Called by `make`; run again, it does nothing.
#   infra/setup-venv.sh run    what the services need        infra/setup-venv.sh dev    the checks and tests as well
set -eu
cd "$(dirname "$0")/.."

kind=${1:-run}
case $kind in
run) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*)
    echo "setup-venv: run or dev, not '$kind'" >&2
    exit 2
    ;;
esac
members="libs/carequeue libs/carecircle services/api services/dispatcher services/email_worker services/push_worker services/cli"

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "setup-venv: no Python 3.11 or newer on PATH; install one, or name it: make PYTHON=/path/to/python3 …" >&2
    return 1
}

have_uv() {
    if command -v uv >/dev/null 2>&1; then
        uv=uv
    else
        [ -x .uv/bin/uv ] || "$python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            --target .uv -r requirements-uv.lock 2>.stamps/uv.log || return 1
        uv=.uv/bin/uv
    fi
}

install_with_uv() {
    have_uv || return 1
    [ -x .venv/bin/python ] || UV_PYTHON_DOWNLOADS=never $uv venv --quiet --python "$python" .venv || return 1
    UV_COMPILE_BYTECODE=1 $uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock" || return 1
    # shellcheck disable=SC2046 # one -e a member
    $uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation $(editable)
}

install_with_pip() {
    [ -x .venv/bin/pip ] || "$python" -m venv --clear .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    # shellcheck disable=SC2046 # one -e a member
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(editable)
}

editable() {
    for member in $members; do printf -- '-e %s ' "$member"; done
}

# What is installed depends on the locks and on the members' own files: their sum tells whether anything is to be done.
mkdir -p .stamps
sum=$(cat "$lock" $(for member in $members; do echo "$member/pyproject.toml"; done) infra/setup-venv.sh | cksum)
if [ -x .venv/bin/python ] && [ "$(cat ".stamps/$kind" 2>/dev/null || true)" = "$sum" ]; then
    exit 0
fi

python=$(find_python)
echo "Setting up .venv ($kind) with $("$python" --version) …"
if ! install_with_uv; then
    echo "uv could not be had or failed; going on with pip (slower)."
    install_with_pip
fi
echo "$sum" >".stamps/$kind"
echo "Ready: .venv"
