"""What a compute node does: directories, files in and out, and tasks as real processes.

`interface` is what the scheduler's driver asks of a node; nothing here knows of
jobs' states, scheduling or HTTP.
"""
