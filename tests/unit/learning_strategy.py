"""A strategy that learns, remembers and asks for encodings, as small as it can be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional

from vidal.openset.learning import targets_of, teachers, train
from vidal.types import Explanation, HeadSpec, IntArray, Learned, Pool, ScoreArray

SEEN: list[Pool] = []
"""Pools that were asked from in this process, oldest first."""


@dataclass(frozen=True)
class KnownFirst:
    """Asks for what a network with one more output finds most likely known."""

    needs: frozenset[str] = field(
        default=frozenset(
            {"regions", "features", "labelled", "labels", "trunk", "precision", "asked"}
        )
    )

    def learn(self, trunk: Any, seed: int) -> Learned:
        known = trunk.known
        network = trunk.network({"all": HeadSpec(known + 1)}, seed)

        def loss(batch: Any) -> Any:
            return functional.cross_entropy(batch.seen.outputs["all"], batch.targets)

        train(trunk, network, loss, rows=teachers(trunk, unknown=True), seed=seed)
        assert len(targets_of(trunk)) == len(trunk.answers)
        sides = {side: trunk.look(network, side).outputs["all"] for side in ("pool", "labelled")}
        return Learned(
            pool={"mine.logits": sides["pool"]},
            labelled={"mine.logits": sides["labelled"]},
            network=network,
            known_probs=lambda outputs: outputs["all"][:, :known],
        )

    def score(self, pool: Pool) -> ScoreArray:
        assert pool.regions is not None
        logits = pool.regions.column("mine.logits").astype(np.float64)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return 1 - shifted[:, -1] / shifted.sum(axis=1)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        del rng
        SEEN.append(pool)
        return np.argsort(-self.score(pool), kind="stable")[:budget].astype(np.int64)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        return Explanation(tuple("likely known" for _ in positions), {})

    def memory(self, pool: Pool, rows: IntArray) -> Mapping[str, NDArray[Any]]:
        return {"mine.score": self.score(pool)[rows]}
