#!/bin/sh
# Remove whatever the other targets made: containers, networks, images, the engine's process, .venv, .ansible, build.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

if docker info >/dev/null 2>&1; then
  tools/remove.sh demo
  tools/remove.sh test
  tools/remove.sh bench
  # Shared with other checkouts, which would build them again.
  for suite in bookworm trixie; do
    for name in asgi-deploy-nginx asgi-deploy asgi-deploy-base; do
      docker image rm --force "$name:$suite" >/dev/null 2>&1 || :
    done
  done
  docker image prune --force --filter label=owner=asgi-deploy >/dev/null
  tools/engine.sh down
fi
rm -rf .venv .ansible build .mypy_cache .ruff_cache .pytest_cache
find . -name __pycache__ -type d -prune -exec rm -rf {} +
