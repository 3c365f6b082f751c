"""Class balance, from what a user wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vidal.errors import UsageError
from vidal.protocols import Selector
from vidal.query.balance_pool import class_shares
from vidal.query.balanced import Balanced, check_lambda
from vidal.query.options import LARGEST
from vidal.types import AnyGap


@dataclass(frozen=True, slots=True)
class Weighing:
    """What ``--balance`` and ``--class-weights`` ask for.

    Attributes:
        lam: None = found on the pool.
        weights: class -> wanted labels in proportion to others.
    """

    lam: float | None
    weights: Mapping[str, float]

    def around(self, selector: Selector, gap: AnyGap) -> Selector:
        """The strategy under class balance."""
        return Balanced(selector, self.lam, dict(self.weights), gap=gap)

    @property
    def settings(self) -> dict[str, Any]:
        """For the record."""
        weights = {"class_weights": dict(self.weights)} if self.weights else {}
        return {"balance": "auto" if self.lam is None else self.lam, **weights}


def parse_balance(
    balance: Any, class_weights: Mapping[str, Any] | None, classes: tuple[str, ...] | None = None
) -> Weighing | None:
    """From options as text or plain values; None = no balance.

    Args:
        balance: lambda, ``auto`` or None.
        class_weights: class -> weight.
        classes: where they are known already.

    Raises:
        UsageError: neither a number of at least 0 nor ``auto``, a weight that is none, weights of
            which none is above 0, or weights without balance.
        UnknownName: a weight for a class that there is not.
    """
    weights = {name: weight_of(name, value) for name, value in (class_weights or {}).items()}
    if balance is None:
        if weights:
            raise UsageError(
                "class weights without balance.", hint="Add --balance auto, or a number."
            )
        return None
    if classes is not None:
        class_shares(weights, classes)
    lam = lambda_of(balance)
    return Weighing(None if lam == "auto" else lam, weights)


def lambda_of(balance: Any) -> float | Literal["auto"] | None:
    """A number of at least 0, ``auto``, or None, from what a user wrote.

    Raises:
        UsageError: something else.
    """
    if balance is None:
        return None
    if isinstance(balance, str) and balance.strip().lower() == "auto":
        return "auto"
    try:
        if isinstance(balance, bool):
            raise ValueError
        lam = float(balance)
    except (TypeError, ValueError):
        raise UsageError(
            f"balance {balance!r} is neither a number of at least 0 nor auto.",
            hint="Such as --balance 1.",
        ) from None
    check_lambda(lam)
    return lam


def weights_of(text: str | None) -> dict[str, float]:
    """Of ``cyclist=3,pedestrian=2``; none of None.

    Raises:
        UsageError: an entry that is no class and number, or a class twice.
    """
    weights: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in (text or "").split(","))):
        name, sign, number = entry.rpartition("=")
        if not sign or not name.strip():
            raise UsageError(
                f"class weights: {entry!r} is not CLASS=NUMBER.",
                hint="Such as --class-weights cyclist=3.",
            )
        if name.strip() in weights:
            raise UsageError(f"class weights: {name.strip()} is given twice.")
        weights[name.strip()] = weight_of(name.strip(), number)
    return weights


def weight_of(name: str, value: Any) -> float:
    """The weight of a class: a number of at least 0.

    Raises:
        UsageError: something else.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        weight = float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight <= LARGEST:
        raise UsageError(
            f"class weight of {name}: {value!r} is not a number from 0 to {LARGEST:,}.",
            hint="Such as --class-weights cyclist=3.",
        )
    return weight
