"""What a budget in boxes or time pays for, and what chosen frames are expected to cost."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from vidal.errors import BudgetError
from vidal.openset.known import known_objects
from vidal.query.balance_pool import COLUMN as OBJECTS
from vidal.query.cost import Cost, Spent, duration
from vidal.query.within import expected_boxes, select_within
from vidal.selection.history import History
from vidal.selection.plan import QueryPlan
from vidal.types import IntArray, Pool
from vidal.words import counted

TOLD_BY = 100.0
"""Labelled unknown objects at which what was learned of detections tells as much of a frame as what
the last query turned out to be; chosen on rendered video (``docs/cost.md``)."""


def with_known(pool: Pool, history: History) -> Pool:
    """The pool with the share of known objects in every frame, ``p_known``, where it is told.

    By what was learned of its detections (h, ``vidal.openset.known``) and by the share of known
    objects in the last answered query (s): (n h + m s) / (n + m), with n labelled unknown objects
    and m = ``TOLD_BY``. What is learned of few is blind to kinds that nobody labelled; what was
    just asked for says how many these are. One of both where there is no other; else there is no
    such column.
    """
    if OBJECTS not in pool.columns or "p_known" in pool.columns:
        return pool
    known, told = known_objects(pool), last_precision(history)
    if known is None and told is None:
        return pool
    if known is None:
        known = np.full(len(pool), told)
    elif told is not None:
        labelled = labelled_unknown(pool)
        known = (labelled * known + TOLD_BY * told) / (labelled + TOLD_BY)
    return pool.with_columns(p_known=known)


def last_precision(history: History) -> float | None:
    """The share of known objects in the last answered query of which it is known."""
    told = [each.precision for each in history.queries if np.isfinite(each.precision)]
    return told[-1] if told else None


def labelled_unknown(pool: Pool) -> int:
    """How many of the labelled items are unknown objects."""
    items = pool.items
    return 0 if items is None else int(np.count_nonzero(items.answers == items.unknown))


def unanswered_remark(pool: Pool, history: History) -> tuple[str, ...]:
    """A remark for the reader, where no answered query tells how many unknown objects there are."""
    if OBJECTS not in pool.columns or known_objects(pool) is None:
        return ()
    if last_precision(history) is not None:
        return ()
    labelled = counted(labelled_unknown(pool), "labelled one")
    return (
        f"How many unknown objects a frame holds is told by {labelled} alone, until a query is"
        " answered; kinds that nobody labelled count as objects of the classes.",
    )


def afforded(plan: QueryPlan, pool: Pool, rng: Generator) -> tuple[IntArray, int]:
    """Positions that a budget in boxes or time pays for, and how many were drawn at random."""
    budget = plan.budget
    known, unknown = expected_boxes(pool)
    costs = plan.cost.of_frames(budget, known, unknown)
    if len(pool) and not costs.any():
        raise _nothing_counts(plan, bool(known.any() or unknown.any()))
    positions, drawn = select_within(
        plan.selector, pool, costs, budget.amount, rng, share=plan.random_share, gap=plan.gap
    )
    least = float(costs.min(initial=np.inf))
    if not len(positions) and np.isfinite(least) and least > budget.amount:
        cheapest = f"{least:,.1f} boxes" if budget.unit == "boxes" else duration(least)
        raise BudgetError(
            budget.text,
            f"pays for no frame: the cheapest is expected to cost {cheapest}",
            hint="Raise the budget.",
        )
    return positions, drawn


def _nothing_counts(plan: QueryPlan, objects: bool) -> BudgetError:
    """No frame costs anything; whether objects are expected there at all."""
    if objects:
        return BudgetError(
            plan.budget.text,
            f"no frame is expected to cost anything (at {plan.cost.text}), so that it does not tell"
            " how many frames to take",
            hint="Give a number of frames, or other rates of cost.",
        )
    return BudgetError(
        plan.budget.text,
        "no object is expected in any frame, so that boxes do not tell how many frames to take",
        hint="Give a number of frames, or lower the threshold of detections.",
    )


def expected_cost(cost: Cost, pool: Pool, positions: IntArray) -> Spent | None:
    """What frames are expected to cost; None where no detector says what is on them."""
    if "expected_objects" not in pool.columns:
        return None
    known, unknown = (float(each[positions].sum()) for each in expected_boxes(pool))
    return Spent(len(positions), known, unknown, cost)
