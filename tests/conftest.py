"""What every test may rely on, however the tests were started."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background has them, and all that they start, ignore
# Ctrl-C; tests of Ctrl-C are to mean the same there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
