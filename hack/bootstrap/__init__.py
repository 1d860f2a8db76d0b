"""Sets a fresh machine up: `python3 -m hack.bootstrap PURPOSE...` makes what is missing for the purposes, nothing else.

It runs before there is a virtual environment, so it needs nothing but Python's own library. It may be interrupted, and
started twice at once, at any time.
"""

import sys

OLDEST_PYTHON = (3, 11)

if sys.version_info < OLDEST_PYTHON:  # said here, before newer syntax in the other modules can fail
    sys.exit(f"Hypernova needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}")
