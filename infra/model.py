"""The root of all config models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """What all parts of the config share: unknown keys are errors, values are final.

    Pulumi has no value for infinity or what is not a number, so the config has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
