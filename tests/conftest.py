"""What all suites share. Loaded by whatever suite is run, so nothing here may need root, Go or libvirt to import."""

import os
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["support.clusters", "support.hosts"]

# A busy machine is no bug, and each run says the same. SOAK=n asks for other examples, and n times as many.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="SOAK" not in os.environ
)
settings.load_profile("any-machine")

# A shell starts what it runs in the background with this signal ignored, and so would be all that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
