#!/usr/bin/env bash
# Re-make requirements/*.txt: the newest releases that fit pyproject.toml, pinned and hashed, for
# every platform and every Python from 3.11. They name packages, never the registry they came from.
#
# dev.txt first, gateway.txt held to it: a machine that runs the tests runs the gateway it tested.
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/python -m pip install --quiet --upgrade uv

compile() {
    .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
        --generate-hashes --no-header --annotation-style line --extra gateway "$@" >/dev/null
}

compile --output-file requirements/dev.txt pyproject.toml requirements/build.in requirements/dev.in
compile --output-file requirements/gateway.txt --constraint requirements/dev.txt \
    pyproject.toml requirements/build.in
wc -l requirements/*.txt
