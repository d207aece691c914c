"""What `/_emulator/` takes, each body a model: a person gets all that is wrong at once."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from emulator.faults import Rule
from emulator.service.routes import ROUTES

OPERATIONS = frozenset(route.name for route in ROUTES) | {"*"}
_COLLECTION = "create_task_collection"
_DAY_S = 86_400.0


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaultRequest(_Body):
    """Body of `POST /_emulator/faults`.

    Attributes:
        operation: Which one it strikes, by its name in `/_emulator/routes`; `*` is all.
        count: The next so many requests; without it and without `share`, one.
        share: A share of the requests, by chance; without `count` until it is deleted.
        seed: Of the chance: the same one strikes the same requests.
        status: Answers an error of the service.
        retry_after_s: Its `Retry-After`.
        delay_s: Waits before the answer, or before the work.
        drop: Breaks the connection before or after the work is done.
        failed_items: Of a task collection, the share answered `servererror`.
    """

    operation: str = "*"
    count: int | None = Field(default=None, ge=1)
    share: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0
    status: Literal[429, 500, 503] | None = None
    retry_after_s: int | None = Field(default=None, ge=0)
    delay_s: float = Field(default=0.0, ge=0, le=600)
    drop: Literal["before", "after"] | None = None
    failed_items: float = Field(default=0.0, ge=0, le=1)

    @field_validator("operation")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in OPERATIONS:
            near = difflib.get_close_matches(name, OPERATIONS, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; see /_emulator/routes"
            raise ValueError(f"no operation is named {name}{hint}")
        return name

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        wrong: list[str] = []
        if not (self.status or self.delay_s or self.drop or self.failed_items):
            wrong.append("nothing would happen: give status, delay_s, drop or failed_items")
        if self.status and self.drop:
            wrong.append("status and drop exclude each other: a broken connection has no answer")
        if self.status and self.failed_items:
            wrong.append("status and failed_items exclude each other: no task would be looked at")
        if self.retry_after_s is not None and not self.status:
            wrong.append("retry_after_s needs a status: it is a header of that answer")
        if self.failed_items and self.operation != _COLLECTION:
            wrong.append(f"failed_items is about {_COLLECTION}: name that operation")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def rule(self) -> Rule:
        """As it is put in force."""
        given = self.model_dump()
        if self.count is None and "share" not in self.model_fields_set:
            given["count"] = 1
        return Rule(**given)


class RateRequest(_Body):
    """Body of `PUT /_emulator/rate`: requests a second, and how many at once."""

    requests_per_second: float = Field(ge=0.001, le=1_000_000)
    burst: int | None = Field(default=None, ge=1)


class AdvanceRequest(_Body):
    """Body of `POST /_emulator/clock/advance`: so many seconds of wall time pass."""

    seconds: float = Field(gt=0, le=366 * _DAY_S)


class CapacityRequest(_Body):
    """Body of `PUT /_emulator/accounts/A/capacity/SIZE`: nodes of that size that there are.

    None is no limit.
    """

    dedicated: Annotated[int, Field(ge=0)] | None = None
    spot: Annotated[int, Field(ge=0)] | None = None


class NodeFaultRequest(_Body):
    """Body of a fault of a node: how its start task fails."""

    exit_code: int = Field(default=1, ge=1, le=255)


def findings(error: ValidationError) -> list[str]:
    """What is wrong with a body: where, what."""
    return [_finding(one["loc"], one["msg"]) for one in error.errors()]


def _finding(where: tuple[Any, ...], what: str) -> str:
    text = what.removeprefix("Value error, ")
    return f"{'.'.join(map(str, where))}: {text}" if where else text
