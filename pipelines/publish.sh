#!/bin/sh
# Puts the program into storage, unless it is there: names carry the content's hash.
. "$(dirname "$0")/environment.sh"
exec python -m jobs stage "$WORKLOAD" --stack "$STACK" --programs
