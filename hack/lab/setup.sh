# Inside a host's new namespaces: its own view of the machine.
#   setup.sh NAME HOSTS FOLDER PRIVATE...   each PRIVATE path is bound to the folder of the same path under FOLDER
set -e
name=$1 hosts=$2 folder=$3
shift 3

mount --make-rprivate /
hostname "$name"
mount -t proc proc /proc
# A new sysfs shows the host's own interfaces. The machine's cgroups go with the old one: libvirt would use them.
umount --lazy /sys
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
for path in "$@"; do
    mkdir -p "$path"
    mount --bind "$folder$path" "$path"
done
mount --bind "$hosts" /etc/hosts
ip link set lo up
