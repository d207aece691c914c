"""The page at `/_emulator/`: what the emulator holds, for a person to look at.

`summary` turns a world into small JSON objects, `routes` serves them beside three static
files. There is no build step, nothing is fetched from elsewhere, and the page only reads,
but for the two faults of a node that it offers (`emulator.admin` answers those).

It looks like the rest of `/_emulator/`: without authentication, on loopback only, and
not for other web sites (`emulator.loopback`).
"""

from emulator.page.routes import PATH, Page

__all__ = ["PATH", "Page"]
