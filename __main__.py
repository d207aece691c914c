"""The Pulumi program: reads the stack's config, declares the estate, exports outputs."""

from __future__ import annotations

import pulumi

from infra.errors import InfraError
from infra.platform import Platform, plan_from_engine

try:
    platform = Platform("hpc", plan_from_engine())
except InfraError as error:
    # The engine prints a RunError's text alone; a person needs no traceback to mend config.
    raise pulumi.RunError(str(error)) from error

for output, value in platform.outputs.items():
    pulumi.export(output, value)
