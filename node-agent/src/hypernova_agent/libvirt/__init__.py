"""The host through its libvirt socket. The only package that imports libvirt; it knows no kind."""
