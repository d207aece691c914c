"""`python -m emulator`."""

import os
import sys

if os.name != "posix":
    sys.exit("error: the emulator needs Linux or macOS, whose processes tasks are; or WSL 2")

from emulator.cli import main

main()
