#!/bin/sh
# Remove this checkout's containers and networks of one purpose:
#   remove.sh demo|test|bench
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
docker info >/dev/null 2>&1 || exit 0
label=asgi-deploy.$1=$root
docker ps --all --quiet --filter "label=$label" | xargs -r docker rm --force --volumes >/dev/null
docker network ls --quiet --filter "label=$label" | xargs -r docker network rm >/dev/null
