"""What a method that trains on a trunk gets and gives: see ``Trunk`` and ``Learner``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from vidal.types.arrays import FloatArray

Side = Literal["pool", "labelled"]
"""The items that may be asked for, or those that are answered."""


class Seen(NamedTuple):
    """What a network makes of a batch; torch tensors.

    Attributes:
        features: (n, D) what the heads read: of the trunk, or of the projection behind it.
        outputs: name of a head -> (n, its outputs).
    """

    features: Any
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One linear layer on the trunk.

    Attributes:
        outputs: how many.
        bias: whether it has one.
    """

    outputs: int
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained on a trunk: by the recipe of pictures, or that of heads.

    Attributes:
        steps: of the optimizer.
        batch: items a step.
        epoch: steps in which every item is seen once.
        optimizer: parameters -> an optimizer of torch.
        rate: step, from 0 -> the rate of that step.
    """

    steps: int
    batch: int
    epoch: int
    optimizer: Callable[[Any], Any]
    rate: Callable[[int], float]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What a network makes of all items of a side, in their order.

    Attributes:
        features: (n, D) float32.
        outputs: name of a head -> (n, its outputs) float32.
    """

    features: FloatArray
    outputs: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a strategy has learned of a pool.

    Attributes:
        pool: name -> array with one row an item of the pool; becomes ``Regions.columns``.
        labelled: name -> array with one row a labelled item; becomes ``Items.columns``.
        network: what was trained, and ``known_probs``: outputs of its heads (n, ...) -> (n, K)
            class distribution of known classes; None where the method has no classifier of its
            own. Where a simulation judges a method by its own classifier, it is this one.
        known_probs: see ``network``.
    """

    pool: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    labelled: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    network: Any = None
    known_probs: Callable[[Mapping[str, FloatArray]], FloatArray] | None = None

    def __post_init__(self) -> None:
        for name in ("pool", "labelled"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
