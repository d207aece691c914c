"""The root of all config models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """What all parts of the config share: unknown keys are errors, values are final."""

    model_config = ConfigDict(extra="forbid", frozen=True)
