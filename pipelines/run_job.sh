#!/bin/sh
# Submits the job, watches it to its end, merges what its tasks made and checks the answer.
. "$(dirname "$0")/environment.sh"
exec python -m jobs.run "$WORKLOAD" --stack "$STACK" --out "$RESULTS"
