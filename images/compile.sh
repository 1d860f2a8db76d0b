#!/bin/sh
# `compile.sh ROOT FOLDER`: Python's modules below FOLDER of the image whose root is ROOT, compiled. The root file system
# is read-only when they run, so that who starts would compile a thousand of them anew each time. The bytecode is not
# compared with the source's time, which builders change.
set -eu
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$1" -p / "$1$2"
find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
