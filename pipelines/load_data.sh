#!/bin/sh
# Puts the input data into storage, what is not there yet.
. "$(dirname "$0")/environment.sh"
exec python -m jobs stage "$WORKLOAD" --stack "$STACK" --inputs
