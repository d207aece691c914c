#!/bin/sh
# What a deployment would change: the rules that need no Azure first, then the engine.
. "$(dirname "$0")/environment.sh"
python -m infra check --stack "$STACK"
engine preview
