#!/bin/sh
# `libraries.sh LOCK [WHEEL...]`: Python's distributions of a lock, each held to its hashes, and wheels that were made
# here, for the image in /image.
set -eu
lock=$1; shift
site=/usr/local/lib/python3.11/dist-packages
pip install --quiet --no-deps --require-hashes --no-compile --only-binary :all: --target "/image$site" -r "$lock"
[ $# = 0 ] || pip install --quiet --no-deps --no-index --no-compile --target "/image$site" "$@"
# Symbols that only debuggers read. Not numpy's: its libraries were moved into the wheel by a tool that writes their
# headers in a way that strip does not understand.
find "/image$site" -name '*.so' -not -path "/image$site/numpy*" -exec strip --strip-unneeded {} +
python3 /build/trim.py "/image$site"
sh /build/compile.sh /image "$site"
