"""What all suites share. Loaded by whatever suite is run, so nothing here may need root, Go or libvirt to import."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["support.clusters", "support.hosts"]

# A busy machine is no bug.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
