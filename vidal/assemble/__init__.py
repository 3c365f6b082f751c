"""The only name -> class tables.

Adding a strategy is one frozen dataclass in ``vidal/query`` and one line here, or one line of a
table of formulas there and one here; the contract suite (``vidal.testing.StrategyContract``) then
covers it. Those of other packages are found by their entry points (``vidal.plugins``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from vidal.assemble.formulas import OPEN_SET
from vidal.detect.load import DETECTORS
from vidal.engine import LocalEngine, ProcessEngine, RayEngine
from vidal.errors import PluginError, UnknownName, UsageError
from vidal.openset.bual import Bual
from vidal.openset.ccal import Ccal
from vidal.openset.dias import Dias
from vidal.openset.e2oal import E2oal
from vidal.openset.eaoa import Eaoa
from vidal.openset.eco import EvidenceConflict
from vidal.openset.eoal import Eoal
from vidal.openset.known_only import known_only
from vidal.openset.lfosa import Lfosa
from vidal.openset.mqnet import MQNet
from vidal.openset.neat import NEAT_PASSIVE, Neat
from vidal.openset.novelty import Novelty
from vidal.openset.openmax import OpenMax
from vidal.openset.pal import ProgressivePal
from vidal.openset.similar_picks import Similar
from vidal.plugins import plugin, plugins
from vidal.protocols import Scorer, Selector
from vidal.query.badge import Badge
from vidal.query.balance_pseudo import EntropyL1PseudoLabel
from vidal.query.baselines import EveryNth, Random, RandomR
from vidal.query.batchbald import BatchBald
from vidal.query.cluster_margin import ClusterMargin
from vidal.query.coverage import Coreset, KCenter
from vidal.query.expected_errors import ExpectedErrors
from vidal.query.foreign import Foreign
from vidal.query.options import Preset, build
from vidal.query.oracle import OracleErrors, OracleFalseNegatives, OracleFalsePositives
from vidal.query.portable import Portable
from vidal.query.ppal import Ppal
from vidal.query.region_scores import region_score
from vidal.query.select import Turns, lift
from vidal.query.temporal_coherence import TemporalCoherence
from vidal.store import FileStore, MemoryStore
from vidal.track import (
    FlowPropagator,
    RaftPropagator,
    SiamFCPropagator,
    SparseFlowPropagator,
    StillPropagator,
    TemplatePropagator,
)
from vidal.types import AnyGap, Gap

__all__ = [
    "DETECTORS",
    "ENGINES",
    "ORACLES",
    "PROPAGATORS",
    "STORES",
    "STRATEGIES",
    "build_oracle",
    "build_strategy",
    "find_strategy",
    "strategy_names",
]

STRATEGIES: Mapping[str, type | Preset[Any]] = {
    "expected-errors": ExpectedErrors,
    "badge": Badge,
    "bald": region_score("bald"),
    "batchbald": BatchBald,
    "bual": Bual,
    "ccal": Ccal,
    "certainty": region_score("certainty"),
    "cluster-margin": ClusterMargin,
    "coreset": Coreset,
    "dias": Dias,
    "e2oal": E2oal,
    "eaoa": Eaoa,
    "eco": EvidenceConflict,
    "egl": region_score("egl"),
    "energy": region_score(OPEN_SET["energy"]),
    "ensemble": region_score("ensemble"),
    "entropy": region_score("entropy"),
    "entropy-l1-pseudo-label": EntropyL1PseudoLabel,
    "eoal": Eoal,
    "every-nth": EveryNth,
    "kcenter": KCenter,
    "label-dispersion": region_score("label-dispersion"),
    "learning-loss": region_score("learning-loss"),
    "least-confidence": region_score("least-confidence"),
    "lfosa": Lfosa,
    "mahalanobis": region_score(OPEN_SET["mahalanobis"]),
    "margin": region_score("margin"),
    "mqnet": MQNet,
    "msp": region_score("certainty"),
    "neat": Neat,
    "neat-passive": NEAT_PASSIVE,
    "novelty": Novelty,
    "openmax": OpenMax,
    "portable-pal": Portable,
    "ppal": Ppal,
    "progressive-pal": ProgressivePal,
    "random": Random,
    "random-r": RandomR,
    "react": region_score(OPEN_SET["react"]),
    "similar": Similar,
    "svm-margin": region_score("svm-margin"),
    "temporal-coherence": TemporalCoherence,
    "vaal": region_score("vaal"),
}
"""Query strategies; the first is the default."""

ORACLES: Mapping[str, type] = {
    "oracle-errors": OracleErrors,
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

ENGINES: Mapping[str, type] = {
    "local": LocalEngine,
    "process": ProcessEngine,
    "ray": RayEngine,
}
"""Where clips are processed."""

STORES: Mapping[str, type] = {"file": FileStore, "memory": MemoryStore}
"""Where evidence is kept."""


def strategy_names() -> tuple[str, ...]:
    """Every name of ``--strategy``: vidal's own, then those of other packages."""
    return (*STRATEGIES, *plugins("strategy", tuple(STRATEGIES)))


def find_strategy(name: str) -> type | Preset[Any]:
    """The class of a strategy, or a preset of one: vidal's own or another package's.

    Raises:
        UnknownName: there is none of that name.
        PluginError: another package's that cannot be used.
    """
    found = plugin("strategy", name, tuple(STRATEGIES))
    if found is None:
        if name not in STRATEGIES:
            raise UnknownName("strategy", name, strategy_names())
        return STRATEGIES[name]
    kind = found.load()
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise PluginError("strategy", name, found.package, "it is no dataclass")
    try:
        made = kind()
    except Exception as error:
        why = f"it cannot be made without options ({error})"
        raise PluginError("strategy", name, found.package, why) from error
    if not isinstance(made, Scorer | Selector):
        raise PluginError("strategy", name, found.package, "it neither scores nor selects")
    return kind


def build_strategy(
    name: str,
    *,
    gap: AnyGap,
    options: Mapping[str, Any],
    known: bool = False,
    turns: Turns | None = None,
) -> Selector:
    """A strategy by name, ready to select under a budget.

    Args:
        name: of ``strategy_names()``.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
        options: option name -> text or value; see ``vidal.query.options.options_of``.
        known: keep it to the known classes, see ``vidal.openset.known_only``.
        turns: how clips take turns; None = as the strategy does.

    Raises:
        UnknownName: the strategy or an option does not exist.
        PluginError: another package's that cannot be used.
        UsageError: a value of an option cannot be meant, ``gap`` is negative, or the strategy has
            an order of its own and takes no turns.
    """
    if turns is not None and "spread" in options:
        raise UsageError(
            f"turns {turns} and option spread={options['spread']}: both say how picks are spread.",
            hint="Give one of them.",
        )
    strategy = build(find_strategy(name), options)
    whole = Gap.of(gap)
    # Selectors of other packages, written before a gap had a unit, count with whole frames.
    kept: AnyGap = int(whole.amount) if whole.unit == "frames" else whole
    selector = (known_only if known else lift)(strategy, kept, turns)
    found = plugin("strategy", name, tuple(STRATEGIES))
    return selector if found is None else Foreign(selector, name, found.package)


def build_oracle(name: str, *, gap: AnyGap) -> Selector:
    """An oracle of a simulation by name, with the same neighbour exclusion as a strategy.

    Raises:
        UnknownName: there is none of that name.
        UsageError: ``gap`` is negative.
    """
    if name not in ORACLES:
        raise UnknownName("oracle", name, tuple(ORACLES))
    return lift(ORACLES[name](), Gap.of(gap))
