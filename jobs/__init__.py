"""Submits work to what the Pulumi program provisioned, watches it, brings it back.

One direction, one module a step:

    workload file ─► spec ─► build ─► stage ─► plan ─► submit ─► watch ─► collect ─► report

`jobs` knows the estate by its stack outputs alone (`jobs.stack`): it imports neither
Pulumi nor the packages that declare Azure, and cannot tell Azure from the emulator
except by the values of those outputs.
"""
