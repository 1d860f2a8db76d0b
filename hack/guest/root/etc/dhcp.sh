#!/bin/sh
# udhcpc's script: $1 is what happened, the rest is in the environment.
case $1 in
deconfig)
    ip address flush dev "$interface"
    ip link set "$interface" up
    ;;
bound | renew)
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    ip address replace "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do ip route replace default via "$gateway" dev "$interface"; done
    for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
    [ "$1" = renew ] ||
        echo "HYPERNOVA-GUEST DHCP card=$interface ip=$ip uptime=$(cut -d' ' -f1 /proc/uptime)" >/dev/console
    ;;
esac
