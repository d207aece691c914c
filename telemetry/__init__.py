"""What nodes report about themselves: the collector, its columns, and how a pool starts it.

A leaf: standard library only, because `collector` runs on nodes as it is. `columns` has
the table that its rows land in, `start` what a pool's start task needs to start it.
"""
