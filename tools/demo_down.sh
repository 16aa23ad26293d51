#!/bin/sh
# Remove what `make demo` made: the container, its network, the root certificate; and the engine, if it was ours.
set -eu
cd "$(dirname "$0")/.."
tools/remove.sh demo
rm -f build/demo-root.pem
tools/engine.sh down
