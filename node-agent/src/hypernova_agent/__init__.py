"""The node agent: realises the Instances bound to its node in that node's libvirt."""
