#!/bin/sh
# Brings home what the last job left and is not here yet, its logs too, and sums it up. After a
# run that went well nothing is new; after one that was cut off this is how its results come.
. "$(dirname "$0")/environment.sh"
python -m jobs collect last --out "$RESULTS"
exec python -m jobs report last --out "$RESULTS"
