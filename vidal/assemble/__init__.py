"""The only name -> class tables.

Adding a strategy is one frozen dataclass in ``vidal/query`` and one line here, or one line of a
table of formulas there and one here; the contract suite (``tests/contract/test_strategies.py``)
then covers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidal.detect.load import DETECTORS
from vidal.engine import LocalEngine, ProcessEngine
from vidal.errors import UnknownName
from vidal.protocols import Selector
from vidal.query.baselines import EveryNth, Random, RandomR
from vidal.query.expected_errors import ExpectedErrors
from vidal.query.options import Preset, build
from vidal.query.oracle import OracleFalseNegatives, OracleFalsePositives
from vidal.query.select import lift
from vidal.query.temporal_coherence import TemporalCoherence
from vidal.query.uncertainty import region_score
from vidal.store import FileStore, MemoryStore
from vidal.track import (
    FlowPropagator,
    RaftPropagator,
    SiamFCPropagator,
    SparseFlowPropagator,
    StillPropagator,
    TemplatePropagator,
)

__all__ = [
    "DETECTORS",
    "ENGINES",
    "ORACLES",
    "PROPAGATORS",
    "STORES",
    "STRATEGIES",
    "build_oracle",
    "build_strategy",
]

STRATEGIES: Mapping[str, type | Preset[Any]] = {
    "expected-errors": ExpectedErrors,
    "entropy": region_score("entropy"),
    "every-nth": EveryNth,
    "least-confidence": region_score("least-confidence"),
    "margin": region_score("margin"),
    "random": Random,
    "random-r": RandomR,
    "temporal-coherence": TemporalCoherence,
}
"""Query strategies; the first is the default."""

ORACLES: Mapping[str, type] = {
    "oracle-fn": OracleFalseNegatives,
    "oracle-fp": OracleFalsePositives,
}
"""What a simulation may compare with: these alone get a pool that was built with truth."""

PROPAGATORS: Mapping[str, type] = {
    "flow": FlowPropagator,
    "raft": RaftPropagator,
    "siamfc": SiamFCPropagator,
    "sparse": SparseFlowPropagator,
    "still": StillPropagator,
    "template": TemplatePropagator,
}
"""Trackers between two frames."""

ENGINES: Mapping[str, type] = {"local": LocalEngine, "process": ProcessEngine}
"""Where clips are processed."""

STORES: Mapping[str, type] = {"file": FileStore, "memory": MemoryStore}
"""Where evidence is kept."""


def build_strategy(name: str, *, gap: int, options: Mapping[str, Any]) -> Selector:
    """A strategy by name, ready to select under a budget.

    Args:
        name: a key of ``STRATEGIES``.
        gap: frames excluded on either side of a chosen or labelled one; 0 = none.
        options: option name -> text or value; see ``vidal.query.options.options_of``.

    Raises:
        UnknownName: the strategy or an option does not exist.
        UsageError: a value of an option cannot be meant, or ``gap`` is negative.
    """
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, tuple(STRATEGIES))
    return lift(build(STRATEGIES[name], options), gap)


def build_oracle(name: str, *, gap: int) -> Selector:
    """An oracle of a simulation by name, with the same neighbour exclusion as a strategy.

    Raises:
        UnknownName: there is none of that name.
        UsageError: ``gap`` is negative.
    """
    if name not in ORACLES:
        raise UnknownName("oracle", name, tuple(ORACLES))
    return lift(ORACLES[name](), gap)
