#!/bin/sh
# Debian packages unpacked into a folder that becomes the root of an image, with all that they depend on.
#
#   rootfs.sh FOLDER PACKAGE...            into an empty folder
#   rootfs.sh --over BASE FOLDER PACKAGE...  only what BASE, made by this script, has not
#
# Nothing is configured and no maintainer script runs: there is no shell in the result, no package manager, and nothing
# setuid. What is in it stands in var/lib/dpkg/status.d, where scanners of images look.
set -eu

# What apt is told is there already, and so does not fetch: what is depended on for maintainer scripts alone, and what
# libpython3.11-stdlib needs only for modules that we don't load.
FOR_SCRIPTS="awk debconf dpkg openssl tar"
FOR_MODULES="libdb5.3 libncursesw6 libnsl2 libreadline8 libsqlite3-0 libtinfo6"
MODULES="_curses _curses_panel _dbm _sqlite3 nis readline"

base=
if [ "$1" = --over ]; then base=$2; shift 2; fi
folder=$1; shift

work=$(mktemp -d)
mkdir -p "$work/archives/partial"
{
    for name in $FOR_SCRIPTS $FOR_MODULES; do
        printf 'Package: %s\nStatus: install ok installed\nVersion: 999\nArchitecture: all\nMulti-Arch: foreign\n' "$name"
        printf 'Maintainer: nobody\nDescription: not unpacked\n\n'
    done
    if [ -n "$base" ]; then
        for control in "$base"/var/lib/dpkg/status.d/*; do
            case $control in *.md5sums) continue ;; esac
            sed 's/^Package: .*/&\nStatus: install ok installed/' "$control"
            echo
        done
    fi
} > "$work/status"

apt-get -qq update
apt-get -qq --yes --download-only --no-install-recommends \
    -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives" -o APT::Sandbox::User=root \
    -o APT::pkgCacheGen::ForceEssential=none install "$@"

# Debian's merged /usr, which no package makes.
mkdir -p "$folder/usr/bin" "$folder/usr/sbin" "$folder/usr/lib" "$folder/usr/lib64" "$folder/var/lib/dpkg/status.d"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$folder/$name"; done

for package in "$work"/archives/*.deb; do
    name=$(dpkg-deb --field "$package" Package)
    dpkg-deb --field "$package" > "$folder/var/lib/dpkg/status.d/$name"
    dpkg-deb --info "$package" md5sums > "$folder/var/lib/dpkg/status.d/$name.md5sums" 2>/dev/null || true
    # gconv: character sets that only C programs ask for. ICU is there for libxml2, which wants its tables alone. What
    # libvirt has in usr/share is its daemon's. The rest is for people at a prompt, and those who write programs.
    dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$folder" --keep-directory-symlink \
        --exclude='./usr/share/man/*' --exclude='./usr/share/info/*' --exclude='./usr/share/locale/*' \
        --exclude='./usr/share/lintian/*' --exclude='./usr/share/bug/*' --exclude='./usr/share/bash-completion/*' \
        --exclude='./usr/lib/*/gconv' --exclude='./usr/lib/python3.*/pydoc_data' \
        --exclude='./usr/lib/python3.*/ensurepip' --exclude='./usr/lib/python3.*/test' \
        --exclude='./usr/lib/*/libicui18n.*' --exclude='./usr/lib/*/libicuio.*' --exclude='./usr/lib/*/libicut*' \
        --exclude='./usr/share/libvirt' --exclude='./usr/sbin/*' --exclude='./usr/share/python*' \
        --exclude='./usr/share/binfmts' --exclude='./usr/share/applications' \
        --exclude='./usr/share/pixmaps' --exclude='./usr/share/gdb' --exclude='./var/cache' --exclude='./var/log'
done
rm -r "$work"

# Of the documentation, what licences ask to keep.
find "$folder/usr/share/doc" -type f ! -name copyright -delete
find "$folder" -perm /6000 -exec chmod a-s {} +
[ -z "$base" ] || exit 0

for name in $MODULES; do rm "$folder"/usr/lib/python3.11/lib-dynload/"$name".*.so; done

# What maintainer scripts would have made.
mkdir -p "$folder/run"
rmdir "$folder/var/run"
ln -s /run "$folder/var/run"  # where libvirt's client looks for its socket
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$folder/etc/nsswitch.conf"
for user in root:0 hypernova:10001 nobody:65534; do
    name=${user%:*} id=${user#*:}
    echo "$name:x:$id:$id::/nonexistent:/usr/sbin/nologin" >> "$folder/etc/passwd"
    echo "$name:x:$id:" >> "$folder/etc/group"
done
mkdir -p "$folder/etc/ssl/certs" "$folder/usr/lib/ssl"
find "$folder/usr/share/ca-certificates/mozilla" -name '*.crt' | LC_ALL=C sort | xargs cat > "$folder/etc/ssl/certs/ca-certificates.crt"
ln -s /etc/ssl/certs/ca-certificates.crt "$folder/usr/lib/ssl/cert.pem"
ln -s python3.11 "$folder/usr/bin/python3"
