#!/bin/sh
# Make .venv from requirements/dev.txt, and .ansible/collections; again only when one of the inputs changed.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
lock=requirements/dev.txt
stamp=.venv/.made-from

fail() { printf '%s\n' "venv: $*" >&2; exit 1; }
suitable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

wanted=$(sha256sum "$lock" tools/venv.sh tools/dev_collections.py galaxy.yml; printf '%s\n' "$root")
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0

# Two at once would each remove what the other installs: the second waits, and finds it done.
mkdir -p .ansible
exec 9>.ansible/venv.lock
flock 9
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0

# The newest Python that can make a virtual environment; a version manager's stand-in may exist and not run.
python= incapable=
candidates=${PYTHON:-python3.13 python3.12 python3.11 python3}
for candidate in $candidates; do
  suitable "$candidate" || continue
  if can_make_venv "$candidate"; then python=$candidate; break; fi
  incapable=${incapable:-$candidate}
done
if [ -z "$python" ] && [ -n "$incapable" ]; then
  package=$("$incapable" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  [ "$(id -u)" -eq 0 ] && [ -x /usr/bin/apt-get ] || fail "$incapable cannot make virtual environments: install $package"
  printf '%s\n' "venv: installing $package"
  mkdir -p build/logs
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$package"; } \
    >build/logs/venv-apt.log 2>&1 || { tail -n 20 build/logs/venv-apt.log >&2; fail "$package could not be installed"; }
  python=$incapable
fi
[ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed (tried: $candidates)"

printf '%s\n' "venv: installing the development tools with $("$python" --version) (a minute the first time)"
mkdir -p build/logs
rm -rf .venv
{
  "$python" -m venv .venv &&
    .venv/bin/python -m pip install --disable-pip-version-check --require-hashes --requirement "$lock" &&
    .venv/bin/python tools/dev_collections.py
} >build/logs/venv.log 2>&1 || { tail -n 30 build/logs/venv.log >&2; fail "could not be made (all of it: build/logs/venv.log)"; }
printf '%s\n' "$wanted" >"$stamp"
