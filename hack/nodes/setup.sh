# Inside a lab host that was just powered on: what a kubelet finds on a machine of its own.
#   setup.sh FOLDER GATEWAY PRIVATE... -- HIERARCHY OPTION [HIERARCHY OPTION]...
# Each PRIVATE path is bound to the folder of the same path under FOLDER; each cgroup HIERARCHY is mounted by its OPTION.
set -e
folder=$1 gateway=$2
shift 2

while [ "$1" != -- ]; do
    mkdir -p "$folder$1" "$1"
    mount --bind "$folder$1" "$1"
    shift
done
shift

mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
while [ $# -gt 0 ]; do
    mkdir -p "$1"
    mount -t cgroup -o "$2" cgroup "$1"
    shift 2
done

# kubelet wants these values, would set them for the whole machine, and ends if it can't: it is shown what it wants.
mkdir /run/sysctl
for wanted in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
    shown=/run/sysctl/$(basename "${wanted%=*}")
    echo "${wanted#*=}" >"$shown"
    mount --bind "$shown" "/proc/sys/${wanted%=*}"
done
echo "nameserver $gateway" >/run/resolv.conf

echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet # a Pod's hostPort answers on loopback too
ip route replace default via "$gateway"

# Last, as an umount would reach its peers: what Pods mount with Bidirectional propagation is seen by the host.
mount --make-rshared /
