"""`python -m autoscale`."""

from __future__ import annotations

import sys

from autoscale.cli import main

sys.exit(main())
