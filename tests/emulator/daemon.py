"""A program that gets away: it forks twice, begins a session, and has no environment."""

from __future__ import annotations

DAEMON = """
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execve("/bin/sh", ["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 1000"], {})
"""
"""Its argument is the file that gets its process id."""
