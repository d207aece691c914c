"""The Pulumi program: reads the stack's config, declares the estate, exports outputs."""

from __future__ import annotations

import gc

# The SDK makes many objects that stay; looking for garbage every 700 takes a sixth of a preview.
gc.set_threshold(20_000, 10, 10)

import pulumi  # noqa: E402 - the SDK's own import is what the line above is for

from infra.engine import plan_from_engine  # noqa: E402 - likewise
from infra.errors import InfraError  # noqa: E402 - likewise
from infra.platform import Platform  # noqa: E402 - likewise

try:
    platform = Platform("hpc", plan_from_engine())
except InfraError as error:
    # The engine prints a RunError's text alone; a person needs no traceback to mend config.
    raise pulumi.RunError(str(error)) from error

for output, value in platform.outputs.items():
    pulumi.export(output, value)
