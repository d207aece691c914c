"""VM sizes: what they have and what they cost, as a dated table.

The table is a default for offline planning, not an authority: sizes that it does not
know are allowed (with a warning), and a price that has no source is None, never a guess.
Prices are USD per hour in East US for Linux, on demand and spot.

Sources: the size pages under https://learn.microsoft.com/azure/virtual-machines/sizes/
for vCPUs, memory, caches and generations; the retail price API (https://prices.azure.com/api/retail/prices)
as of `PRICES_AS_OF` for prices. Within Dsv5, Esv5 and Fsv2 the price on demand is
proportional to vCPUs, which is how those rows are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

# The snapshot is of 2024 and its day is not known; the year's last day stands for it.
PRICES_AS_OF = date(2024, 12, 31)
PRICE_CURRENCY = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The accelerators of one node."""

    count: int
    model: str
    memory_gb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSize:
    """One VM size.

    Attributes:
        name: Azure's name, such as `Standard_HB120rs_v3`.
        series: The series whose core quota it draws on, such as `HBv3`.
        vcpus: Virtual CPUs.
        memory_gib: Memory.
        gpu: Its accelerators, or None.
        infiniband_gbps: Bandwidth of its InfiniBand, 0 without.
        dedicated_price_per_hour: USD on demand, or None where no source is given.
        spot_price_per_hour: USD as spot, or None where no source is given.
        needs_gen2: Whether it boots generation 2 images only.
        os_cache_gib: The host's cache, in which an ephemeral OS disk lies; 0 without one, None
            where no source says how large it is.
    """

    name: str
    series: str
    vcpus: int
    memory_gib: int
    gpu: Gpu | None = None
    infiniband_gbps: int = 0
    dedicated_price_per_hour: float | None = None
    spot_price_per_hour: float | None = None
    needs_gen2: bool = False
    os_cache_gib: int | None = None

    @property
    def has_rdma(self) -> bool:
        """Whether nodes of this size talk over InfiniBand."""
        return self.infiniband_gbps > 0


_A100 = "A100"
_H100 = "H100"

_ACCELERATED_AND_HPC = (
    VmSize(
        name="Standard_HB368rs_v5", series="HBv5", vcpus=368, memory_gib=432,
        infiniband_gbps=800, needs_gen2=True,
    ),
    VmSize(
        name="Standard_HB176rs_v4", series="HBv4", vcpus=176, memory_gib=704,
        infiniband_gbps=400, dedicated_price_per_hour=7.20, spot_price_per_hour=1.80,
    ),
    VmSize(
        name="Standard_HX176rs", series="HX", vcpus=176, memory_gib=1408,
        infiniband_gbps=400, dedicated_price_per_hour=8.64, spot_price_per_hour=2.16,
    ),
    VmSize(
        name="Standard_HB120rs_v3", series="HBv3", vcpus=120, memory_gib=448,
        infiniband_gbps=200, dedicated_price_per_hour=3.60, spot_price_per_hour=0.396,
    ),
    VmSize(
        name="Standard_ND96isr_H200_v5", series="NDv5-H200", vcpus=96, memory_gib=1850,
        gpu=Gpu(count=8, model="H200", memory_gb=141), infiniband_gbps=3200, needs_gen2=True,
    ),
    VmSize(
        name="Standard_ND96isr_H100_v5", series="NDv5-H100", vcpus=96, memory_gib=1900,
        gpu=Gpu(count=8, model=_H100, memory_gb=80), infiniband_gbps=3200,
        dedicated_price_per_hour=98.32, needs_gen2=True,
    ),
    VmSize(
        name="Standard_ND96amsr_A100_v4", series="NDAMv4-A100", vcpus=96, memory_gib=1900,
        gpu=Gpu(count=8, model=_A100, memory_gb=80), infiniband_gbps=1600,
        dedicated_price_per_hour=32.77, spot_price_per_hour=3.60, needs_gen2=True,
    ),
    VmSize(
        name="Standard_NC40ads_H100_v5", series="NCv5-H100", vcpus=40, memory_gib=320,
        gpu=Gpu(count=1, model=_H100, memory_gb=94),
        dedicated_price_per_hour=6.98, needs_gen2=True,
    ),
    VmSize(
        name="Standard_NC24ads_A100_v4", series="NCv4-A100", vcpus=24, memory_gib=220,
        gpu=Gpu(count=1, model=_A100, memory_gb=80),
        dedicated_price_per_hour=3.673, spot_price_per_hour=0.444, needs_gen2=True,
    ),
    VmSize(
        name="Standard_NC96ads_A100_v4", series="NCv4-A100", vcpus=96, memory_gib=880,
        gpu=Gpu(count=4, model=_A100, memory_gb=80),
        dedicated_price_per_hour=14.692, spot_price_per_hour=1.778, needs_gen2=True,
    ),
    VmSize(
        name="Standard_NV36ads_A10_v5", series="NVv5-A10", vcpus=36, memory_gib=440,
        gpu=Gpu(count=1, model="A10", memory_gb=24),
        dedicated_price_per_hour=3.20, spot_price_per_hour=0.80,
    ),
    VmSize(
        name="Standard_NC4as_T4_v3", series="NCv3-T4", vcpus=4, memory_gib=28,
        gpu=Gpu(count=1, model="T4", memory_gb=16),
        dedicated_price_per_hour=0.526, spot_price_per_hour=0.063,
    ),
)  # fmt: skip


def _general_purpose() -> Iterator[VmSize]:
    for vcpus in (2, 4, 8, 16, 32, 48, 64, 96):
        yield VmSize(
            name=f"Standard_D{vcpus}s_v5",
            series="Dsv5",
            vcpus=vcpus,
            memory_gib=4 * vcpus,
            os_cache_gib=0,
            dedicated_price_per_hour=round(0.048 * vcpus, 3),
        )
    for vcpus in (2, 4, 8, 16, 32, 48, 64, 96):
        yield VmSize(
            name=f"Standard_E{vcpus}s_v5",
            series="Esv5",
            vcpus=vcpus,
            memory_gib=672 if vcpus == 96 else 8 * vcpus,  # noqa: PLR2004 - the one exception of the series
            os_cache_gib=0,
            dedicated_price_per_hour=round(0.063 * vcpus, 3),
            spot_price_per_hour=0.665 if vcpus == 96 else None,  # noqa: PLR2004 - the one row with a source
        )
    for vcpus in (2, 4, 8, 16, 32, 48, 64, 72):
        yield VmSize(
            name=f"Standard_F{vcpus}s_v2",
            series="Fsv2",
            vcpus=vcpus,
            memory_gib=2 * vcpus,
            os_cache_gib=1520 if vcpus == 72 else 16 * vcpus,  # noqa: PLR2004 - likewise
            dedicated_price_per_hour=round(0.0423 * vcpus, 3),
        )


SIZES: Mapping[str, VmSize] = MappingProxyType(
    {size.name: size for size in (*_ACCELERATED_AND_HPC, *_general_purpose())}
)

_BY_FOLDED = {name.casefold(): size for name, size in SIZES.items()}


def find_size(name: str) -> VmSize | None:
    """The size of that name, whatever its case (Azure ignores case too), or None."""
    return _BY_FOLDED.get(name.casefold())
