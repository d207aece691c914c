"""How many cores a VM size has, read from its name.

Since the third generations a size is named after its number of vCPUs
(https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions); a second
number, as in `standard_hb120-64rs_v3`, is how many of them are there. Older series count
sizes instead: those are in the table, from their pages of the same documentation.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NAME = re.compile(r"(?:standard|basic)_([a-z]+)(\d+)(?:-(\d+))?([a-z]*)(?:_\w+)?")
_D = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 11: 2, 12: 4, 13: 8, 14: 16, 15: 20}
_G = {1: 2, 2: 4, 3: 8, 4: 16, 5: 32}
_A = {0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 2, 6: 4, 7: 8, 8: 8, 9: 16, 10: 8, 11: 16}
_SPECIAL = {"small": 1, "medium": 2, "large": 4, "extralarge": 8, "extrasmall": 1}


@lru_cache(maxsize=256)
def cores_of(vm_size: str) -> int:
    """Cores of a size; 1 for a name that follows no rule."""
    size = vm_size.lower()
    named = _NAME.fullmatch(size)
    if named is None:
        return _SPECIAL.get(size, 1)
    series, number = named[1], int(named[2])
    if named[3]:
        return int(named[3])
    if series in {"g", "gs"}:
        return _G.get(number, number)
    # The v2 of the A series counts vCPUs, that of the D series still counts sizes.
    if series == "a" and not size.endswith("_v2"):
        return _A.get(number, number)
    if series in {"d", "ds"} and (not re.search(r"_v\d+$", size) or size.endswith("_v2")):
        return _D.get(number, number)
    return number
