"""`python -m jobs`."""

from jobs.starting import start

start("main")
