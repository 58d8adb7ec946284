#!/bin/sh
# Writes requirements*.lock anew from the members' pyproject.toml files: hashes, no host names. Called by `make lock`.
set -eu
cd "$(dirname "$0")/.."
uv=uv
command -v uv >/dev/null 2>&1 || uv=.uv/bin/uv

$uv lock --quiet ${UPGRADE:+--upgrade}
export_lock() {
    out=$1
    shift
    $uv export --quiet --frozen --no-emit-workspace --no-header --no-annotate "$@" -o "$out" >/dev/null
}
export_lock requirements.lock --group build
export_lock requirements-dev.lock --group build --group dev
rm -f uv.lock # it names package hosts
if grep -n '://' requirements*.lock; then
    echo "lock: the lines above name a host" >&2
    exit 1
fi
