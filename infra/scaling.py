"""What a person may write under a pool's `scale`: how it grows and shrinks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from infra.model import Model

Nodes = Annotated[int, Field(ge=0, le=5000)]


class KeepWarmConfig(Model):
    """Hours in which dedicated nodes are kept without work, in a time zone of one's own."""

    nodes: int = Field(default=1, ge=1, le=5000, description="Dedicated nodes that are kept.")
    zone: str = Field(default="UTC", description="Time zone, such as `Europe/Berlin`.")
    from_hour: int = Field(default=8, ge=0, le=23, description="First hour, local time.")
    to_hour: int = Field(default=18, ge=1, le=24, description="Hour in which it ends.")
    days: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5), min_length=1, description="1 for Monday to 7 for Sunday."
    )
    first_year: int = Field(description="First year whose changes of the clock are written down.")
    last_year: int = Field(description="Last such year; at most ten in all.")


class FollowPendingScale(Model):
    """The pool follows its pending tasks between a least and a most number of nodes."""

    mode: Literal["follow-pending"] = "follow-pending"
    min_dedicated_nodes: Nodes = Field(
        default=0, description="Dedicated nodes that stay when there is no work."
    )
    max_dedicated_nodes: Nodes | None = Field(
        default=None, description="Most dedicated nodes; the preset's default when absent."
    )
    max_spot_nodes: Nodes | None = Field(
        default=None, description="Most spot nodes; the preset's default when absent."
    )
    min_spot_nodes: Nodes = Field(
        default=0, description="Spot nodes that stay when there is no work."
    )
    spot_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the nodes that is asked for as spot, as far as the most allow.",
    )
    max_step_up: int | None = Field(
        default=None, ge=1, description="Most nodes of a kind that one evaluation adds."
    )
    max_step_down: int | None = Field(
        default=None, ge=1, description="Most nodes of a kind that one evaluation takes away."
    )
    keep_warm: KeepWarmConfig | None = Field(
        default=None, description="Hours in which nodes are kept without work."
    )
    node_deallocation_option: Literal["requeue", "terminate", "taskcompletion", "retaineddata"] = (
        Field(default="taskcompletion", description="What becomes of tasks on a node that leaves.")
    )
    idle_minutes: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="How long the pool has no pending task before it shrinks to its least.",
    )
    nodes_per_task: int = Field(
        default=1, ge=1, description="Nodes of one multi-instance task; targets are multiples."
    )
    spot_fallback_minutes: int = Field(
        default=15,
        ge=0,
        le=1440,
        description="Spot nodes missing this long are replaced by dedicated ones; 0 never.",
    )
    evaluation_interval_minutes: int = Field(
        default=5, description="How often Batch evaluates the formula, in minutes."
    )


class FixedScale(Model):
    """The pool keeps a number of nodes, and costs that much day and night."""

    mode: Literal["fixed"]
    dedicated_nodes: Nodes = Field(default=0, description="Dedicated nodes.")
    spot_nodes: Nodes = Field(default=0, description="Spot nodes.")
    resize_timeout_minutes: int = Field(
        default=15, ge=5, le=10080, description="When Batch gives up allocating nodes."
    )


class FormulaScale(Model):
    """The pool is scaled by a formula of one's own."""

    mode: Literal["formula"]
    formula_file: str = Field(
        min_length=1,
        # No file's name has NUL in it.
        pattern=r"^[^\x00]+$",
        description="File with the formula, relative to the project root.",
    )
    min_nodes: Nodes = Field(default=0, description="Least nodes the formula ever asks for.")
    max_dedicated_nodes: Nodes = Field(
        description="Most dedicated nodes the formula asks for: quota, addresses and price "
        "are planned with it."
    )
    max_spot_nodes: Nodes = Field(
        default=0, description="Most spot nodes the formula asks for, planned with likewise."
    )
    evaluation_interval_minutes: int = Field(
        default=5, description="How often Batch evaluates the formula, in minutes."
    )


def _scale_mode(value: Any) -> str | None:
    mode = (
        value.get("mode", "follow-pending")
        if isinstance(value, dict)
        else getattr(value, "mode", None)
    )
    return mode if isinstance(mode, str) else None


Scale = Annotated[
    Annotated[FollowPendingScale, Tag("follow-pending")]
    | Annotated[FixedScale, Tag("fixed")]
    | Annotated[FormulaScale, Tag("formula")],
    Discriminator(
        _scale_mode,
        custom_error_type="scale_mode",
        custom_error_message="`mode` is one of follow-pending, fixed, formula",
    ),
]
