#!/bin/sh
# `install.sh COMPONENT PROGRAM PACKAGE ROOT...`: of our wheel what COMPONENT consists of, in /image, with the list of
# what its image has: Debian's packages and libraries below the folders ROOT.
set -eu
component=$1; program=$2; package=$3; shift 3
site=/usr/local/lib/python3.11/dist-packages
pip install --quiet --no-deps --no-index --no-compile --target "/image$site" /wheels/*.whl
mkdir -p /image/usr/local/bin
mv "/image$site/bin/$program" /image/usr/local/bin/
python3 /build/trim.py "/image$site" hypernova_api hypernova_kube "$package"
list=/image/var/lib/db/sbom/hypernova-$component.cdx.json
mkdir -p "$(dirname "$list")"
python3 /build/sbom.py "$component" "$@" /image > "$list"
sh /build/compile.sh /image "$site"
