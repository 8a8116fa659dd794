"""What training a large model costs: time, energy, money, CO₂, each by a formula with a source.

Symbols: N parameters, D tokens, C FLOPs, n devices.

Sources: Kaplan et al. 2020 (C = 6ND), arXiv:2001.08361; Patterson et al. 2021 (energy and CO₂),
arXiv:2104.10350; Touvron et al. 2023 (LLaMA), arXiv:2302.13971; Luccioni et al. 2022 (BLOOM),
arXiv:2211.02001.
"""

import math
from dataclasses import dataclass

from bigmodel_lib.counting import approximate_training_flops, training_memory

HOUR, DAY = 3600, 24 * 3600


@dataclass(frozen=True)
class Device:
    """An accelerator, as its maker describes it.

    Attributes:
        flops: at most, a second, in 16 bits without sparsity.
        memory: bytes.
        watts: thermal design power.
        source: the data sheet.
    """

    flops: float
    memory: float
    watts: float
    source: str


DEVICES = {
    "T4": Device(65e12, 16e9, 70, "NVIDIA T4 data sheet"),
    "V100": Device(125e12, 32e9, 300, "NVIDIA V100 data sheet (SXM2, 32 GB)"),
    "A100": Device(312e12, 80e9, 400, "NVIDIA A100 data sheet (SXM, 80 GB)"),
    "H100": Device(989e12, 80e9, 700, "NVIDIA H100 data sheet (SXM)"),
    "RTX 4090": Device(165e12, 24e9, 450, "NVIDIA Ada architecture white paper"),
}


@dataclass(frozen=True)
class Training:
    """One training, and where it runs.

    Attributes:
        N: parameters that a token passes through.
        D: tokens.
        device: a name in `DEVICES`.
        n: devices.
        utilisation: share of the devices' FLOPs that the model gets (MFU).
        watts: that a device draws with its share of the host.
        pue: energy of the building over that of the computers, at least 1.
        grid: kg of CO₂ equivalent a kWh.
        price: money for a device and an hour.

    Raises:
        ValueError: a value is out of its range, or there is no such device.
    """

    N: float
    D: float
    device: str
    n: int
    utilisation: float
    watts: float
    pue: float = 1.1
    grid: float = 0.4
    price: float = 2.0

    def __post_init__(self):
        if self.device not in DEVICES:
            raise ValueError(f"need a device in {list(DEVICES)}, got {self.device!r}")
        sizes = self.N, self.D, self.n, self.watts
        if min(sizes) <= 0 or not all(map(math.isfinite, sizes)):
            raise ValueError(f"need N, D, n and watts above 0, got {sizes}")
        if not 0 < self.utilisation <= 1:
            raise ValueError(f"need a utilisation in (0, 1], got {self.utilisation}")
        if not (self.pue >= 1 and self.grid >= 0 and self.price >= 0):
            got = f"{self.pue}, {self.grid} and {self.price}"
            raise ValueError(f"need pue >= 1, grid >= 0 and price >= 0, got {got}")

    @property
    def flops(self) -> float:
        """C = 6ND."""
        return approximate_training_flops(self.N, self.D)

    @property
    def device_hours(self) -> float:
        """C / (utilisation · FLOPs a second of one device)."""
        return self.flops / (self.utilisation * DEVICES[self.device].flops) / HOUR

    @property
    def days(self) -> float:
        """Device hours, on n devices at once."""
        return self.device_hours / self.n / 24

    @property
    def kwh(self) -> float:
        """Device hours × watts × PUE: what the meter of the building counts."""
        return self.device_hours * self.watts * self.pue / 1000

    @property
    def co2(self) -> float:
        """kg of CO₂ equivalent: kWh × grid."""
        return self.kwh * self.grid

    @property
    def money(self) -> float:
        """Device hours × price."""
        return self.device_hours * self.price

    @property
    def memory(self) -> float:
        """Bytes that each device holds from step to step, if all is sharded; activations on top.

        16N / n: weights and gradients in 16 bits, master copy and Adam's moments in float32 --
        Rajbhandari et al. 2020, section 3, arXiv:1910.02054.
        """
        return training_memory(round(self.N), "mixed").total / self.n

    @property
    def fewest(self) -> int:
        """Devices that can hold it at all."""
        return math.ceil(self.memory * self.n / DEVICES[self.device].memory)


@dataclass(frozen=True)
class Published:
    """A training whose makers, or others, have published what it cost.

    Attributes:
        training: with the published settings.
        figures: published results by the name of the property, in its unit.
        tolerance: by how much a computed figure may miss the published one, as a share.
        source: paper and table.
        told: what had to be taken from the results, so that it is no prediction.
    """

    training: Training
    figures: dict[str, float]
    tolerance: float
    source: str
    told: str = ""


PUBLISHED = {
    "GPT-3, 175 B": Published(
        Training(175e9, 300e9, "V100", 10_000, 24.6 / 125, 330, 1.10, 0.429),
        {"flops": 3.14e23, "days": 14.8, "kwh": 1_287_000, "co2": 552_000},
        0.01,
        "Patterson et al. 2021, table 4",
    ),
    "LLaMA, 65 B": Published(
        # 380 tokens a second and GPU (section 2.4): 6 · 65.2e9 · 380 FLOPs a second
        Training(65.2e9, 1.4e12, "A100", 2048, 6 * 65.2e9 * 380 / 312e12, 400, 1.1, 0.385),
        {"device_hours": 1_022_362, "days": 21, "kwh": 449_000, "co2": 173_000},
        0.02,
        "Touvron et al. 2023, section 2.4 and table 15",
    ),
    "BLOOM, 176 B": Published(
        # dynamic power only: no PUE
        Training(176e9, 366e9, "A100", 384, 0.3177, 400, 1.0, 0.057),
        {"device_hours": 1_082_990, "kwh": 433_196, "co2": 24_690},
        0.01,
        "Luccioni et al. 2022, table 1 and section 4",
        told="the utilisation follows from the published GPU hours",
    ),
}


def misses(published: Published) -> dict[str, float]:
    """By what share each computed figure misses the published one, by name."""
    return {
        name: getattr(published.training, name) / figure - 1
        for name, figure in published.figures.items()
    }
