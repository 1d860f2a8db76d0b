"""libvirt's XML: an element is a class that can be read beside libvirt's manual. Pure: nothing here touches a host."""
