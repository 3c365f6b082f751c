"""The energy whose minimum tells errors from objects.

Zolfaghari Bengar et al. 2019, Section 3.2. Every detection is a true or a false positive, every
candidate a true or a false negative. Encoded as *existence* (there is an object: true positive,
false negative), the pairwise term is 0 where two linked nodes agree and w where they differ, so
the energy is submodular and one minimum cut finds its global minimum. (Encoded as "the detector is
right", the terms between detections and candidates would be supermodular.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vidal.types import BoolArray, IntArray, frozen


class Verdict(IntEnum):
    """The four labels, in the order of the rows of ``DISAGREEMENT``."""

    TRUE_POSITIVE = 0
    FALSE_POSITIVE = 1
    TRUE_NEGATIVE = 2
    FALSE_NEGATIVE = 3


DISAGREEMENT: NDArray[np.int64] = np.array(
    [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]], dtype=np.int64
)
"""The pairwise term of two linked nodes, by their verdicts."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes: detections 0..N-1, then candidates N..N+M-1.

    Attributes:
        detections, candidates: N and M.
        src, dst: (E,) int64 nodes; undirected, no pair twice, none between two candidates.
        weight: of every edge.
        false_positive_cost, false_negative_cost: of a detection without, a candidate with object.
    """

    detections: int
    candidates: int
    src: IntArray
    dst: IntArray
    weight: int = 1
    false_positive_cost: int = 1
    false_negative_cost: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "src", frozen(self.src, np.int64, (None,), "src"))
        object.__setattr__(self, "dst", frozen(self.dst, np.int64, (len(self.src),), "dst"))

    @property
    def nodes(self) -> int:
        """N + M."""
        return self.detections + self.candidates

    @property
    def is_candidate(self) -> BoolArray:
        """(N + M,) bool."""
        return np.arange(self.nodes) >= self.detections


def energy(graph: Graph, exists: BoolArray) -> int:
    """Energy of a labelling: ``exists`` (N + M,) says at which nodes there is an object."""
    absent = int(np.count_nonzero(~exists[: graph.detections]))
    found = int(np.count_nonzero(exists[graph.detections :]))
    differ = int(np.count_nonzero(exists[graph.src] != exists[graph.dst]))
    return (
        graph.false_positive_cost * absent
        + graph.false_negative_cost * found
        + graph.weight * differ
    )


def verdicts(graph: Graph, exists: BoolArray) -> IntArray:
    """(N + M,) the verdict that existence means at each node."""
    present = np.where(graph.is_candidate, Verdict.FALSE_NEGATIVE, Verdict.TRUE_POSITIVE)
    absent = np.where(graph.is_candidate, Verdict.TRUE_NEGATIVE, Verdict.FALSE_POSITIVE)
    return np.where(exists, present, absent).astype(np.int64)


def four_label_energy(graph: Graph, labels: IntArray) -> float:
    """Energy of (N + M,) verdicts as the paper writes it; infinite for a verdict of the wrong kind.

    The minimum is found in the binary form; this is what that form is checked against.
    """
    inf = np.inf
    detection = np.array([0, graph.false_positive_cost, inf, inf])
    candidate = np.array([inf, inf, 0, graph.false_negative_cost])
    unary = np.where(graph.is_candidate, candidate[labels], detection[labels]).sum()
    pairwise = DISAGREEMENT[labels[graph.src], labels[graph.dst]].sum()
    return float(unary + graph.weight * pairwise)


def support(graph: Graph, exists: BoolArray) -> tuple[IntArray, IntArray]:
    """(N + M,) number of neighbours of every node, and how many of them have an object."""
    ends = np.concatenate([graph.src, graph.dst])
    others = np.concatenate([graph.dst, graph.src])
    degree = np.bincount(ends, minlength=graph.nodes)
    present = np.bincount(ends[exists[others]], minlength=graph.nodes)
    return degree.astype(np.int64), present.astype(np.int64)
