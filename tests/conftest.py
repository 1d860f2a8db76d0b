"""What all suites share. Loaded by whatever suite is run, so nothing here may need root, Go or libvirt to import."""

pytest_plugins = ["support.clusters", "support.hosts"]
