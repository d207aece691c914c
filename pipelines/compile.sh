#!/bin/sh
# Makes the program of the workload, unless nothing changed since it was made.
. "$(dirname "$0")/environment.sh"
exec python -m jobs build "$WORKLOAD"
