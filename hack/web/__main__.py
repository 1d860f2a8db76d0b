"""`python -m hack.web` prints the folder with the assets of the consoles' page."""

from hack.web import build

print(build())
