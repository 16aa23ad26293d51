#!/bin/sh
# Run a tool of the example application in a virtual environment of its own, as its README says:
#   example.sh pytest|mypy [ARGUMENT]...
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
application=$root/examples/fastapi_app
venv=$root/.ansible/example-venv
wanted=$(sha256sum <"$application/requirements-test.txt")

if [ "$(cat "$venv/.made-from" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$venv"
  "$root/.venv/bin/python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    --requirement "$application/requirements-test.txt"
  printf '%s\n' "$wanted" >"$venv/.made-from"
fi
cd "$application"
tool=$1
shift
exec "$venv/bin/python" -m "$tool" "$@"
