"""The devices a domain of ours has, a class per element of https://libvirt.org/formatdomain.html#devices"""
