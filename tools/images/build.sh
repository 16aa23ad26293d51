#!/bin/sh
# Build asgi-deploy:<suite> and asgi-deploy-nginx:<suite>, unless they exist and nothing they are made of changed.
#   build.sh [bookworm|trixie]...     (both when none is named)
# Base: $ASGI_BASE_IMAGE if set; else debian:<suite> if it is here or can be pulled; else a root file system
# from mmdebstrap (needs root and a Debian mirror).
# The certificate authorities that were added to this machine ($ASGI_CA_DIR, *.crt) are trusted in the containers too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ca_dir=${ASGI_CA_DIR:-/usr/local/share/ca-certificates}
logs=$here/../../build/logs
mkdir -p "$logs"

say() { printf '%s\n' "image: $*"; }

inputs=$({
  (cd "$here" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat)
  find "$ca_dir" -name '*.crt' -exec cat {} + 2>/dev/null || :
} | sha256sum | cut -c 1-16)

# Host networking: a build needs the way out only, and the host's own has neither NAT nor an MTU to get wrong.
build() {
  docker build --quiet --network host --label owner=asgi-deploy --label "asgi-deploy.inputs=$inputs" "$@"
}

current() {
  [ "$(docker image inspect --format '{{index .Config.Labels "asgi-deploy.inputs"}}' "$1" 2>/dev/null)" = "$inputs" ]
}

base_image() {
  base=${ASGI_BASE_IMAGE:-debian:$1}
  docker image inspect "$base" >/dev/null 2>&1 && return 0
  timeout 300 docker pull --quiet "$base" >/dev/null 2>&1 && return 0
  base=asgi-deploy-base:$1
  docker image inspect "$base" >/dev/null 2>&1 && return 0
  command -v mmdebstrap >/dev/null || {
    say "no registry answers and mmdebstrap is not installed: install mmdebstrap, or pull debian:$1" >&2
    return 1
  }
  # Everything at once is half the time of a minimal system plus a second apt run.
  packages=$(paste -s -d , "$here/packages.txt")
  mmdebstrap --variant=minbase --include="$packages" "$1" - | docker import --change 'LABEL owner=asgi-deploy' - "$base"
}

build_suite() {
  suite=$1
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  cp -R "$here/." "$context/"
  mkdir "$context/ca"
  touch "$context/ca/.keep"
  find "$ca_dir" -name '*.crt' -exec cp {} "$context/ca/" \; 2>/dev/null || :
  base_image "$suite"
  build --tag "asgi-deploy:$suite" --build-arg "BASE=$base" "$context"
  build --tag "asgi-deploy-nginx:$suite" --build-arg "BASE=asgi-deploy:$suite" --file "$context/nginx.Dockerfile" "$context"
}

[ $# -gt 0 ] || set -- bookworm trixie
jobs=
for suite; do
  if current "asgi-deploy:$suite" && current "asgi-deploy-nginx:$suite"; then continue; fi
  say "building $suite (a minute or so; log: build/logs/image-$suite.log)"
  started=$(date +%s)
  (
    set -eu
    build_suite "$suite" >"$logs/image-$suite.log" 2>&1
    say "$suite ready after $(($(date +%s) - started)) s"
  ) &
  jobs="$jobs $suite:$!"
done
failed=0
for job in $jobs; do
  wait "${job#*:}" || {
    tail -n 30 "$logs/image-${job%:*}.log" >&2
    say "${job%:*} could not be built" >&2
    failed=1
  }
done
exit "$failed"
