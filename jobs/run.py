"""`python -m jobs.run`: the main command, `run`, by a name of its own (contract 7).

The steps are in `jobs.workflow`, the options in `jobs.cli`.
"""

from __future__ import annotations

from jobs.starting import start

if __name__ == "__main__":
    start("run_main")
