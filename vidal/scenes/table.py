"""What is rendered: the generation table of SYNTHIA-AL and the plan of a set of clips.

Source: Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos" (ICCVW 2019),
Table 1; lengths are scaled down by default (60-180 frames instead of 250-750).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from vidal.errors import UnknownName, UsageError

CLASSES = ("car", "pedestrian", "cyclist", "wheelchair")
AREAS = ("city", "town", "highway")
CONDITIONS = ("spring", "winter", "fall", "rain", "night")
SPLITS = ("train", "test", "test-wheelchair")


@dataclass(frozen=True, slots=True)
class Spawn:
    """Probability, in [0, 1], that a spawn position of a class is occupied."""

    pedestrian: float
    cyclist: float
    car: float
    wheelchair: float


@dataclass(frozen=True, slots=True)
class Subset:
    """One row of the generation table.

    Attributes:
        split: "train", "test" or "test-wheelchair".
        sequences: how many clips the data set has of it; its share of a split.
        areas: where its clips play.
        conditions: one of them holds; the others are at their default (spring, clear, day).
        spawn: occupancy of the spawn positions. On the highway only that of cars is used.
    """

    split: str
    sequences: int
    areas: tuple[str, ...]
    conditions: tuple[str, ...]
    spawn: Spawn


_STREET = Spawn(0.30, 0.20, 0.35, 0.0)
_CARS = Spawn(0.0, 0.0, 0.35, 0.0)
_WHEELCHAIRS = Spawn(0.20, 0.20, 0.0, 1.0)
_DAY = ("spring", "winter", "fall", "rain")

SUBSETS: Mapping[str, Subset] = {
    "default": Subset("train", 150, ("city", "highway"), _DAY, _STREET),
    "town": Subset("train", 36, ("town",), _DAY, _STREET),
    "night": Subset("train", 6, ("city", "highway"), ("night",), _CARS),
    "wheelchair": Subset("train", 5, ("city", "town"), ("spring",), _WHEELCHAIRS),
    "test": Subset("test", 85, AREAS, ("spring", "fall", "rain", "night"), _STREET),
    "test-wheelchair": Subset("test-wheelchair", 12, ("city", "town"), ("spring",), _WHEELCHAIRS),
}


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """One clip to render; equal specs give equal pixels.

    Attributes:
        name: file name of the clip without suffix, unique within a plan.
        subset: row of ``SUBSETS``.
        area: one of ``AREAS``.
        condition: one of ``CONDITIONS``.
        spawn: occupancy of the spawn positions.
        frames: length.
        rate: frames a second.
        size: (H, W) in pixels.
        seed: everything random follows from it.
        statues: probability, in [0, 1], that a place for a statue is occupied: objects of no class,
            which look like people.
    """

    name: str
    subset: str = "default"
    area: str = "city"
    condition: str = "spring"
    spawn: Spawn = _STREET
    frames: int = 100
    rate: int = 25
    size: tuple[int, int] = (300, 480)
    seed: int = 0
    statues: float = 0.0

    def __post_init__(self) -> None:
        for kind, value, choices in (
            ("subset", self.subset, tuple(SUBSETS)),
            ("area", self.area, AREAS),
            ("condition", self.condition, CONDITIONS),
        ):
            if value not in choices:
                raise UnknownName(kind, value, choices)
        if self.frames < 1 or self.rate < 1:
            raise UsageError(f"{self.frames} frames at {self.rate}/s: both have to be positive.")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: has to be 0 or more.")
        if not 0 <= self.statues <= 1:
            raise UsageError(f"statues {self.statues}: not a probability.")
        if min(self.size) < 64:
            raise UsageError(f"size {self.size}: at least 64 pixels each way are needed.")

    def described(self) -> dict[str, Any]:
        """Its fields; those that came later only where they are set: what was rendered stays."""
        plain = asdict(self)
        return plain if self.statues else {k: v for k, v in plain.items() if k != "statues"}

    @property
    def night(self) -> bool:
        """Is it dark?"""
        return self.condition == "night"

    @property
    def rain(self) -> bool:
        """Does it rain?"""
        return self.condition == "rain"


def plan(
    clips: int,
    seed: int,
    *,
    split: str = "train",
    subset: str | None = None,
    shares: Mapping[str, float] | None = None,
    frames: tuple[int, int] | None = None,
    rate: int = 25,
    size: tuple[int, int] = (300, 480),
    statues: float = 0.0,
) -> list[SceneSpec]:
    """The clips of one split, in the shares of the generation table.

    Counts are the table's shares, rounded by largest remainder (so that a small plan may hold no
    clip of a small subset). Within a subset, areas and conditions take turns in a random order.

    Args:
        clips: how many.
        seed: of the plan; every clip gets its own seed from it.
        split: "train", "test" or "test-wheelchair".
        subset: all clips from this row of ``SUBSETS`` instead.
        shares: relative weight of each subset instead of the table's.
        frames: lowest and highest length (uniform); default 60 to 180.
        rate: frames a second.
        size: (H, W).
        statues: share, in [0, 1], of the clips in which statues stand, rounded to whole clips;
            drawn apart, so that all else of a plan stays as it is. None stand on highways.

    Raises:
        UnknownName: no such split or subset.
        UsageError: counts or lengths that cannot be meant.
    """
    low, high = frames or (60, 180)
    if clips < 0 or not 1 <= low <= high:
        raise UsageError(f"{clips} clips of {low} to {high} frames: cannot be planned.")
    if seed < 0:
        raise UsageError(f"seed {seed}: has to be 0 or more.")
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    specs: list[SceneSpec] = []
    for name, count in _counts(clips, _weights(split, subset, shares)).items():
        row = SUBSETS[name]
        turns = list(product(row.areas, row.conditions))
        order = rng.permutation(len(turns))
        for turn in range(count):
            area, condition = turns[order[turn % len(turns)]]
            tag = "-wheelchair" if name.endswith("wheelchair") else ""
            specs.append(
                SceneSpec(
                    name=f"{area}-{condition}{tag}-{len(specs):04d}",
                    subset=name,
                    area=area,
                    condition=condition,
                    spawn=row.spawn,
                    frames=int(rng.integers(low, high + 1)),
                    rate=rate,
                    size=size,
                    seed=int(rng.integers(2**62)),
                )
            )
    return _with_statues(specs, statues, seed)


_CROWDED = 0.5
"""Probability that a place is occupied in a clip with statues."""


def _with_statues(specs: list[SceneSpec], share: float, seed: int) -> list[SceneSpec]:
    if not 0 <= share <= 1:
        raise UsageError(f"statues {share}: not a share from 0 to 1.")
    order = np.random.default_rng([seed, zlib.crc32(b"statues")]).permutation(len(specs))
    streets = [at for at in order.tolist() if specs[at].area != "highway"]
    chosen = set(streets[: round(share * len(specs))])
    return [replace(s, statues=_CROWDED) if at in chosen else s for at, s in enumerate(specs)]


def _weights(
    split: str, subset: str | None, shares: Mapping[str, float] | None
) -> dict[str, float]:
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    chosen = shares if shares is not None else ({subset: 1.0} if subset is not None else None)
    if chosen is None:
        return {name: row.sequences for name, row in SUBSETS.items() if row.split == split}
    for name in chosen:
        if name not in SUBSETS:
            raise UnknownName("subset", name, tuple(SUBSETS))
    if any(share < 0 for share in chosen.values()) or not sum(chosen.values()) > 0:
        raise UsageError("shares: have to be positive.")
    return dict(chosen)


def _counts(clips: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Largest-remainder rounding of ``clips`` to the weights; ties go to the earlier name."""
    total = sum(weights.values())
    exact = {name: clips * weight / total for name, weight in weights.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: clips - sum(counts.values())]:
        counts[name] += 1
    return counts
