"""Settles what each pool will be: config and preset in, a complete plan out.

Pure: the plan is data that rules judge, `plan` prints, components declare and outputs
tell. A pool's formula is rendered or read here, so that what is checked is what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from autoscale import PolicyError
from autoscale.policies import FollowPending
from autoscale.schedule import KeepWarm
from infra.applications import PackageConfig
from infra.config import (
    GalleryImageConfig,
    MarketplaceImageConfig,
    PoolConfig,
    Preset,
    StartTaskConfig,
)
from infra.equipment import EquipmentConfig
from infra.images import IMAGES, Image, ImageName
from infra.scaling import FixedScale, FollowPendingScale, FormulaScale
from infra.sizes import VmSize, find_size

NVIDIA_DRIVER = ("Microsoft.HpcCompute", "NvidiaGpuDriverLinux")


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetDefaults:
    """What a preset fills in where the config is silent."""

    vm_size: str
    image: ImageName
    fill: str
    inter_node_communication: bool
    max_dedicated_nodes: int
    max_spot_nodes: int


PRESETS: Mapping[Preset, PresetDefaults] = MappingProxyType(
    {
        "cpu": PresetDefaults(
            vm_size="Standard_D4s_v5",
            image="ubuntu-24.04",
            fill="spread",
            inter_node_communication=False,
            max_dedicated_nodes=2,
            max_spot_nodes=0,
        ),
        "gpu": PresetDefaults(
            vm_size="Standard_NC4as_T4_v3",
            image="ubuntu-hpc-24.04",
            fill="spread",
            inter_node_communication=False,
            max_dedicated_nodes=1,
            max_spot_nodes=0,
        ),
        "rdma": PresetDefaults(
            vm_size="Standard_HB120rs_v3",
            image="ubuntu-hpc-24.04",
            fill="pack",
            inter_node_communication=True,
            max_dedicated_nodes=2,
            max_spot_nodes=0,
        ),
        "spot": PresetDefaults(
            vm_size="Standard_D4s_v5",
            image="ubuntu-24.04",
            fill="spread",
            inter_node_communication=False,
            max_dedicated_nodes=0,
            max_spot_nodes=2,
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePlan:
    """How a pool scales, and between which bounds.

    Attributes:
        formula: The autoscale formula, or None for a fixed pool or an unreadable file.
        formula_path: Where in the config the formula comes from.
        formula_problem: Why there is no formula although there should be one.
        interval_minutes: Between two evaluations; None for a fixed pool.
        resize_timeout_minutes: Of a fixed pool; None for an autoscaled one.
        min_nodes: Least nodes, dedicated and spot together.
        min_spot_nodes: Those of them that are spot as long as there are spot nodes.
        max_dedicated_nodes: Most dedicated nodes.
        max_spot_nodes: Most spot nodes.
    """

    formula: str | None = None
    formula_path: str = ""
    formula_problem: str = ""
    interval_minutes: int | None = None
    resize_timeout_minutes: int | None = None
    min_nodes: int
    min_spot_nodes: int = 0
    max_dedicated_nodes: int
    max_spot_nodes: int

    @property
    def is_fixed(self) -> bool:
        """Whether the pool keeps its number of nodes."""
        return self.interval_minutes is None

    @property
    def max_nodes(self) -> int:
        """Most nodes, dedicated and spot together."""
        return self.max_dedicated_nodes + self.max_spot_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """A pool as it will be declared.

    Attributes:
        name: Logical name, the key in the config.
        path: Where the config has it, such as `pools.cpu`.
        vm_size: The size's name in Azure's spelling where the table knows it.
        size: The table's row, or None for a size that it does not know.
        image: The marketplace image or None; exactly one of it and `gallery_image_id`.
        min_dedicated_nodes: Dedicated nodes that are always there.
        equipment: File systems, disks, accounts and the like, as the config has them.
    """

    name: str
    path: str
    preset: Preset
    display_name: str | None
    vm_size: str
    size: VmSize | None
    image: Image | None
    image_version: str
    gallery_image_id: str | None
    node_agent_sku_id: str
    has_hpc_drivers: bool
    task_slots_per_node: int
    fill: str
    inter_node_communication: bool
    scale: ScalePlan
    min_dedicated_nodes: int
    start_task: StartTaskConfig | None
    application_packages: tuple[PackageConfig, ...]
    ephemeral_os_disk: bool
    encryption_at_host: bool
    metadata: Mapping[str, str]
    equipment: EquipmentConfig

    @property
    def os(self) -> str:
        """`linux` or `windows`, as the node agent has it."""
        return "windows" if "windows" in self.node_agent_sku_id else "linux"

    @property
    def has_nvidia_driver(self) -> bool:
        """Whether the NVIDIA driver is in the image, or comes as an extension."""
        return self.has_hpc_drivers or any(
            (one.publisher, one.type) == NVIDIA_DRIVER
            for one in self.equipment.extensions.values()
        )

    @property
    def min_spot_nodes(self) -> int:
        """Spot nodes that are always there, as far as Azure has them."""
        return self.scale.min_nodes - self.min_dedicated_nodes

    @property
    def idle_price_per_hour(self) -> float | None:
        """USD per hour for the nodes that are always there, or None as `price_per_hour`."""
        return self.price_per_hour(
            dedicated_nodes=self.min_dedicated_nodes, spot_nodes=self.min_spot_nodes
        )

    def price_per_hour(self, *, dedicated_nodes: int, spot_nodes: int) -> float | None:
        """USD per hour for so many nodes, or None where a needed price has no source."""
        total = 0.0
        size = self.size
        for count, price in (
            (dedicated_nodes, size and size.dedicated_price_per_hour),
            (spot_nodes, size and size.spot_price_per_hour),
        ):
            if count and price is None:
                return None
            total += count * (price or 0.0)
        return total


def plan_pool(name: str, config: PoolConfig, *, root: Path) -> PoolPlan:
    """Settles one pool.

    Args:
        name: Its logical name.
        config: What the person wrote.
        root: The project root, which formula files are relative to.
    """
    preset = PRESETS[config.preset]
    vm_size = config.vm_size or preset.vm_size
    size = find_size(vm_size)
    path = f"pools.{name}"
    chosen = config.image or preset.image
    image: Image | None = None
    gallery_image_id: str | None = None
    if isinstance(chosen, GalleryImageConfig):
        gallery_image_id = chosen.gallery_image_id
        node_agent, has_hpc_drivers = chosen.node_agent_sku_id, chosen.has_hpc_drivers
    else:
        if isinstance(chosen, MarketplaceImageConfig):
            image = Image(**chosen.model_dump())
        else:
            image = IMAGES[chosen]
        node_agent, has_hpc_drivers = image.node_agent_sku_id, image.has_hpc_drivers
    scale = _plan_scale(config, preset, path=path, root=root)
    return PoolPlan(
        name=name,
        path=path,
        preset=config.preset,
        display_name=config.display_name,
        vm_size=size.name if size else vm_size,
        size=size,
        image=image,
        image_version=config.image_version,
        gallery_image_id=gallery_image_id,
        node_agent_sku_id=node_agent,
        has_hpc_drivers=has_hpc_drivers,
        task_slots_per_node=config.task_slots_per_node,
        fill=config.fill or preset.fill,
        inter_node_communication=(
            preset.inter_node_communication
            if config.inter_node_communication is None
            else config.inter_node_communication
        ),
        scale=scale,
        min_dedicated_nodes=min(scale.min_nodes - scale.min_spot_nodes, scale.max_dedicated_nodes),
        start_task=config.start_task,
        application_packages=config.application_packages,
        ephemeral_os_disk=config.ephemeral_os_disk,
        encryption_at_host=config.encryption_at_host,
        metadata=MappingProxyType(dict(sorted(config.metadata.items()))),
        equipment=config,
    )


def _plan_scale(config: PoolConfig, preset: PresetDefaults, *, path: str, root: Path) -> ScalePlan:
    scale = config.scale
    match scale:
        case FixedScale():
            return ScalePlan(
                resize_timeout_minutes=scale.resize_timeout_minutes,
                min_nodes=scale.dedicated_nodes + scale.spot_nodes,
                min_spot_nodes=scale.spot_nodes,
                max_dedicated_nodes=scale.dedicated_nodes,
                max_spot_nodes=scale.spot_nodes,
            )
        case FormulaScale():
            formula, problem = _read_formula(root, scale.formula_file)
            return ScalePlan(
                formula=formula,
                formula_path=f"{path}.scale.formula_file",
                formula_problem=problem,
                interval_minutes=scale.evaluation_interval_minutes,
                min_nodes=scale.min_nodes,
                max_dedicated_nodes=scale.max_dedicated_nodes,
                max_spot_nodes=scale.max_spot_nodes,
            )
        case FollowPendingScale():
            return _plan_follow_pending(scale, preset, path=path, slots=config.task_slots_per_node)


def _plan_follow_pending(
    scale: FollowPendingScale, preset: PresetDefaults, *, path: str, slots: int
) -> ScalePlan:
    explicit = scale.max_dedicated_nodes is not None or scale.max_spot_nodes is not None
    max_dedicated = scale.max_dedicated_nodes
    if max_dedicated is None:
        max_dedicated = scale.min_dedicated_nodes if explicit else preset.max_dedicated_nodes
    max_spot = scale.max_spot_nodes
    if max_spot is None:
        max_spot = scale.min_spot_nodes if explicit else preset.max_spot_nodes
    formula: str | None = None
    problem = ""
    try:
        formula = FollowPending(
            min_dedicated_nodes=scale.min_dedicated_nodes,
            max_dedicated_nodes=max_dedicated,
            max_spot_nodes=max_spot,
            min_spot_nodes=scale.min_spot_nodes,
            spot_share=scale.spot_share,
            max_step_up=scale.max_step_up,
            max_step_down=scale.max_step_down,
            keep_warm=(
                KeepWarm(**scale.keep_warm.model_dump()) if scale.keep_warm is not None else None
            ),
            node_deallocation_option=scale.node_deallocation_option,
            task_slots_per_node=slots,
            idle_minutes=scale.idle_minutes,
            nodes_per_task=scale.nodes_per_task,
            spot_fallback_minutes=scale.spot_fallback_minutes,
        ).render()
    except PolicyError as error:
        problem = re.sub(r"(?:FollowPending|(KeepWarm))\.", _option, str(error))
        problem = problem.replace("\n", "; ")
    return ScalePlan(
        formula=formula,
        formula_path=f"{path}.scale",
        formula_problem=problem,
        interval_minutes=scale.evaluation_interval_minutes,
        min_nodes=scale.min_dedicated_nodes + scale.min_spot_nodes,
        min_spot_nodes=scale.min_spot_nodes,
        max_dedicated_nodes=max_dedicated,
        max_spot_nodes=max_spot,
    )


def _option(match: re.Match[str]) -> str:
    """How the config has a policy's parameter."""
    return "keep_warm." if match[1] else ""


def _read_formula(root: Path, name: str) -> tuple[str | None, str]:
    file = (root / name).resolve()
    if not file.is_relative_to(root.resolve()):
        return None, f"{name} is outside the project; keep formulas in it, such as formulas/x.txt"
    try:
        return file.read_text(encoding="utf-8"), ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return None, f"{name} cannot be read ({reason}); the path is relative to the project root"
