"""What commands say of budgets and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidal.words import counted

if TYPE_CHECKING:
    from vidal.selection.plan import Prepared, SelectionPlan
    from vidal.selection.result import SelectionResult


def told_budget(plan: SelectionPlan, prepared: Prepared) -> str:
    """``24 frames (2% of 1,200 frames of 5 clips``; of boxes and time, how they are counted."""
    words = plan.query.budget.words(prepared.base_text)
    if prepared.wanted is not None:
        return f"{counted(prepared.wanted, 'frame')} ({words}"
    return f"frames for {words} (at {plan.query.cost.text}"


def cost_lines(result: SelectionResult) -> list[str]:
    """What the chosen frames are expected to cost, and the rates; nothing where nobody knows."""
    spent = result.expected_cost
    return [] if spent is None else [f"expected cost: {spent.text} at {spent.cost.text}"]
