"""`python -m scan`."""

from scan.cli import main

main()
