#!/bin/sh
# Brings the stack to what the program declares.
. "$(dirname "$0")/environment.sh"
engine up
