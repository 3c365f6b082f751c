"""From a pool to a query: which frames, with which score and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vidal.evidence.places import EngineMaker
from vidal.openset.known import unknown_of
from vidal.query.balance_told import BalanceTold
from vidal.query.balanced import Balanced
from vidal.query.cost import Spent
from vidal.query.random_share import select_with_random
from vidal.selection.afford import afforded, expected_cost, unanswered_remark, with_known
from vidal.selection.asked import Asked, asked_of
from vidal.selection.draws import SELECT, step_rng
from vidal.selection.history import NO_HISTORY, History
from vidal.selection.lookup import Lookup
from vidal.selection.plan import QueryPlan
from vidal.selection.readable import Looked
from vidal.selection.scored import Scored
from vidal.selection.stored_pool import stored_pool
from vidal.selection.trained import Trainer
from vidal.types import Annotations, Explanation, FrameRef, IntArray, Pool, Query, ScoreArray

_DRAWN = "drawn at random, as a sample of all frames"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A query, and the scores of all frames it was chosen from.

    Attributes:
        query: the chosen frames.
        scored: clip id -> its evidence with the score of every frame.
        drawn: how many of the last chosen frames were drawn at random.
        balance: what class balance weighed, or None.
        spent: what the chosen frames are expected to cost; None where nothing tells.
        unknown: see ``SelectionResult``.
        remarks: of the strategy, one sentence each.
        asked: the regions that the query asks about; None where no detector looked.
    """

    query: Query
    scored: Scored
    drawn: int
    balance: BalanceTold | None = None
    spent: Spent | None = None
    asked: Asked | None = None
    remarks: tuple[str, ...] = ()
    unknown: Mapping[FrameRef, ScoreArray] = field(default_factory=dict)


def choose(
    plan: QueryPlan,
    lookup: Lookup,
    *,
    number: int,
    wanted: int | None,
    truth: Mapping[str, Annotations] | None = None,
    trainer: Trainer | None = None,
    history: History = NO_HISTORY,
    engines: EngineMaker | None = None,
) -> Choice:
    """Choose ``wanted`` frames for round ``number``.

    A strategy that needs no evidence chooses frames that nobody has decoded yet: those that do
    not decode leave the pool, and it chooses again, with the same random numbers.

    Args:
        plan: how.
        lookup: from what.
        number: of the round.
        wanted: frames; fewer are chosen where the pool or the neighbour exclusion has no more.
            None = as many as the budget pays for.
        truth: for the oracles of a simulation only; see ``stored_pool``.
        trainer: makes columns that are not stored; None = none are needed.
        history: what the answers to earlier queries say.
        engines: where frames are decoded that nobody has decoded yet; None = here.

    Raises:
        BudgetError: a budget in boxes or time that pays for no frame, or that nothing uses up.
    """
    looked = Looked(lookup.gathered.clips, engines)
    while True:
        pool = _pool(plan, lookup, truth, trainer, history)
        positions, drawn, told = _selected(plan, pool, number, wanted)
        lost = {} if plan.needs else looked.unreadable(pool, positions)
        if not lost:
            made = _choice(plan, lookup, pool, positions, drawn, number, wanted, history)
            return replace(made, balance=told, asked=_asked(plan, pool, made))
        lookup = lookup.without(lost)


def recall(
    plan: QueryPlan,
    lookup: Lookup,
    frames: Sequence[FrameRef],
    *,
    number: int,
    wanted: int | None,
    drawn: int,
    trainer: Trainer | None = None,
    history: History = NO_HISTORY,
) -> Choice:
    """What an earlier run chose, told again; frames that are not in the pool are left out.

    Args:
        plan: how they were chosen.
        lookup: from what.
        frames: the chosen ones.
        number: of the round.
        wanted: its budget in frames; None where it was in boxes or time.
        drawn: how many of the last frames were drawn at random.
        trainer, history: as for ``choose``.
    """
    pool = _pool(plan, lookup, None, trainer, history)
    found = pool.frames.find(frames)
    positions = found[found >= 0]
    made = _choice(plan, lookup, pool, positions, drawn, number, wanted, history)
    if not isinstance(plan.selector, Balanced):
        return made
    again, _, told = _selected(plan, pool, number, wanted)
    same = np.array_equal(np.sort(again), np.sort(positions))
    return replace(made, balance=told if same else None)


def _selected(
    plan: QueryPlan, pool: Pool, number: int, wanted: int | None
) -> tuple[IntArray, int, BalanceTold | None]:
    """Positions, how many of the last were drawn at random, and what class balance weighed."""
    told: list[BalanceTold] = []
    selector = plan.selector
    if isinstance(selector, Balanced):
        selector = replace(selector, listener=told.append)
    rng = step_rng(plan.seed, number, SELECT)
    if wanted is None:
        positions, drawn = afforded(replace(plan, selector=selector), pool, rng)
    else:
        count = min(wanted, len(pool))
        positions, drawn = select_with_random(
            selector, pool, count, rng, share=plan.random_share, gap=plan.gap
        )
    return positions, drawn, told[-1] if told else None


def _pool(
    plan: QueryPlan,
    lookup: Lookup,
    truth: Mapping[str, Annotations] | None,
    trainer: Trainer | None,
    history: History,
) -> Pool:
    pool = stored_pool(lookup, needs=plan.needs, threshold=plan.threshold, truth=truth)
    pool = history.told_to(pool, plan.selector.needs, plan.strategy)
    return with_known(pool if trainer is None else trainer.complete(pool), history)


def _asked(plan: QueryPlan, pool: Pool, made: Choice) -> Asked | None:
    picked: dict[str, list[int]] = {}
    for ref in made.query.frames:
        picked.setdefault(ref.clip, []).append(ref.index)
    return asked_of(
        made.query,
        lambda clip: made.scored.near(clip, picked[clip], 0).detections,
        pool,
        plan.selector,
        strategy=plan.strategy,
        threshold=plan.threshold,
    )


def _choice(
    plan: QueryPlan,
    lookup: Lookup,
    pool: Pool,
    positions: IntArray,
    drawn: int,
    number: int,
    wanted: int | None,
    history: History,
) -> Choice:
    scores = plan.selector.score(pool)
    query = Query(
        round=number,
        frames=tuple(pool.frames.ref(int(pos)) for pos in positions),
        scores=scores[positions],
        explanation=_explained(plan.selector.explain(pool, positions), drawn),
        budget=len(positions) if wanted is None else wanted,
    )
    remarks = (*remarks_of(plan.selector, pool), *unanswered_remark(pool, history))
    unknown = _unknown(pool, positions)
    scored = Scored(lookup, pool.frames, scores, plan.threshold)
    spent = expected_cost(plan.cost, pool, positions)
    return Choice(query, scored, drawn, spent=spent, remarks=remarks, unknown=unknown)


def _unknown(pool: Pool, positions: IntArray) -> dict[FrameRef, ScoreArray]:
    """P(unknown object) of the detections of chosen frames, where it was learned."""
    values = unknown_of(pool)
    if values is None or pool.regions is None:
        return {}
    ends = np.searchsorted(pool.regions.pos, np.add.outer([0, 1], positions))
    pairs = zip(positions.tolist(), ends.T.tolist(), strict=True)
    return {pool.frames.ref(pos): values[first:last] for pos, (first, last) in pairs}


def remarks_of(selector: Any, pool: Pool) -> tuple[str, ...]:
    """Of a strategy and those that it wraps, where they have something to say."""
    found: list[str] = []
    while selector is not None:
        remarks = getattr(selector, "remarks", None)
        found += () if remarks is None else remarks(pool)
        selector = getattr(selector, "inner", None)
    return tuple(found)


def _explained(explanation: Explanation, drawn: int) -> Explanation:
    """The reasons, of the last frames that they were drawn at random."""
    if not drawn:
        return explanation
    words = explanation.words[: len(explanation.words) - drawn]
    return replace(explanation, words=(*words, *(_DRAWN,) * drawn))
