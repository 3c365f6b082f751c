"""The expected number of detector errors in a frame, learned from the campaign's own labels.

The estimate is made elsewhere (``vidal.expected_errors``); here it is weighted and said in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UnknownName, UsageError
from vidal.protocols import Selector
from vidal.query.looks import Spreading, spread_by
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray
from vidal.words import counted

Per = Literal["frame", "root", "object"]
"""What the errors of a frame are divided by: nothing, the root of its boxes, their number."""

_COUNTED = {"fp": (1.0, 0.0), "fn": (0.0, 1.0), "fp+fn": (1.0, 1.0)}
_KINDS = (("false alarm", "false alarms"), ("miss", "misses"))
_SAID = 0.05
"""Less than this is not worth a word."""
MOSTLY = 0.5
"""Weight of the prior above which its counts are not said."""
BEFORE_LABELS = "chosen for unsure, weak and unsteady boxes"
"""The words where the shipped prior alone counts: its counts are often several times too high or
too low on another detector's video, so they are no sentence; they are in the parts of the score."""
BARE = "chosen for weak boxes, and for boxes that neighbouring frames show"
"""The same on a frame without any box above the threshold."""
_AT_ONCE = 1 << 18
"""Frames that are weighed together."""
_NAMED = 2
"""Classes that signs are said to speak of, the strongest first."""


@dataclass(frozen=True, slots=True)
class ExpectedErrors:
    """Ask for the frames with most expected errors for the boxes that there are to draw.

    Reads the pool columns ``expected`` (F, K, 2), expected false positives and missed objects per
    class, which put the frames in order; ``told`` (F, K, 2), the same made right in sum, which is
    what people read; ``learned`` (F,): whether what is told are counts; and ``prior`` (F,): the
    weight, in [0, 1], of the prior that comes with vidal in these counts, which is said where it is
    more than half. Before there are labels ``expected`` is a fusion, in standard deviations, of
    scores, weak detections, temporal coherence and the prior's counts. Where no prior fits there
    are no counts, and the column ``errors`` (F, K, 2), the verdicts of temporal coherence, gives
    the words. ``detections`` (F,) is the number of detections above the threshold.

    Attributes:
        errors: what counts: fp (false positives), fn (missed objects) or fp+fn.
        per: what puts frames in order: frame (their expected errors), object (these over the
            number of boxes to draw: detections, expected misses, and one), or root (over its root).
        weights: how much an error of a class counts, such as car=1,pedestrian=3; others count 1.
        spread: how picks are spread: clips (the best of every clip, then the second best), or looks
            (diminishing returns among frames that look alike, see ``vidal.query.looks``); clips
            where detections come from files, which do not say what frames look like.
        groups: of looks; 0 = twice the root of the number of frames that are asked for.
    """

    errors: Literal["fp", "fn", "fp+fn"] = "fp+fn"
    per: Per = "root"
    weights: str = ""
    spread: Spreading = "looks"
    groups: int = 0

    needs: ClassVar[frozenset[str]] = frozenset(
        {"expected", "told", "learned", "prior", "errors", "detections"}
    )

    def __post_init__(self) -> None:
        _parse(self.weights)

    def rule(self, gap: AnyGap) -> Selector:
        """What chooses by these scores."""
        return spread_by(self, self.spread, gap, self.groups)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64 >= 0: the weighted number of expected errors of the kinds that count.

        Over the number of boxes, or its root, as ``per`` says.

        Raises:
            UnknownName: a weight for a class that the pool does not have.
        """
        expected = pool.column("expected")
        errors = np.empty(len(pool))
        for at in range(0, len(pool), _AT_ONCE):  # a copy of all of it would be larger than it is
            part = slice(at, at + _AT_ONCE)
            errors[part] = self._weighted(pool, expected[part]).sum(axis=(1, 2))
        if self.per == "frame":
            return errors
        boxes = 1 + _boxes(pool)
        return errors / (boxes if self.per == "object" else np.sqrt(boxes))

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """What is expected of which class; before there are labels, what the verdicts say."""
        expected = pool.column("told")[positions].astype(np.float64)
        learned = pool.column("learned")[positions].astype(bool)
        prior = pool.column("prior")[positions] > MOSTLY
        verdicts = pool.column("errors")[positions].astype(np.int64)
        counts = self._weighted(pool, np.ones_like(expected)) > 0
        seen = np.asarray(pool.column("detections")[positions], np.float64)
        words = tuple(
            (BEFORE_LABELS if boxes else BARE)
            if known and shipped
            else _words(frame, mask, pool.classes)
            if known
            else _signs(frame, found, mask, pool.classes)
            for frame, found, mask, known, shipped, boxes in zip(
                expected, verdicts, counts, learned, prior, seen, strict=True
            )
        )
        kinds = expected.sum(axis=1)
        parts = {"false_positives": kinds[:, 0], "misses": kinds[:, 1]}
        if self.per != "frame":
            parts["boxes"] = _boxes(pool)[positions]
            # Misses that only the prior expects are no boxes that anyone can see.
            told = np.where(learned & ~prior, parts["boxes"], seen)
            words = tuple(map(_among, words, told.tolist()))
        rough = () if (learned & ~prior).all() else parts
        return Explanation(words, parts, frozenset(rough))

    def _weighted(self, pool: Pool, values: NDArray[Any]) -> ScoreArray:
        by_class = np.ones(len(pool.classes))
        for name, weight in _parse(self.weights).items():
            if name not in pool.classes:
                raise UnknownName("class in weights", name, pool.classes)
            by_class[pool.classes.index(name)] = weight
        kinds = np.array(_COUNTED[self.errors])
        return values.astype(np.float64) * by_class[:, None] * kinds


def _boxes(pool: Pool) -> ScoreArray:
    """(F,) boxes that annotators have to look at: detections, and misses where they are counted."""
    missed = pool.column("told")[..., 1].sum(axis=1, dtype=np.float64)
    return pool.column("detections") + np.where(pool.column("learned"), missed, 0.0)


def _among(said: str, boxes: float) -> str:
    """With the number of boxes, where there are any: what errors are reckoned by."""
    number = round(boxes)
    return f"{said}; among {counted(number, 'box', 'boxes')}" if number else said


def _parse(text: str) -> Mapping[str, float]:
    """Class -> weight of ``car=1,pedestrian=3``."""
    weights: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, found, number = entry.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not found or not name.strip() or not 0 <= weight < float("inf"):
            raise UsageError(
                f"option weights: {entry!r} is not a class and a number of at least 0.",
                hint="Such as car=1,pedestrian=3.",
            )
        weights[name.strip()] = weight
    return weights


def _words(expected: NDArray[Any], used: NDArray[Any], classes: tuple[str, ...]) -> str:
    """One frame's expectation (K, 2) as a sentence; what does not count is said apart."""
    said, aside = (
        " and ".join(filter(None, (_kind(expected[:, k], mask[:, k], classes, k) for k in (0, 1))))
        for mask in (used, ~used)
    )
    return f"all chances added up: {said or 'no error'}" + (
        f"; not counted: {aside}" if aside else ""
    )


def _kind(amounts: NDArray[Any], mask: NDArray[Any], classes: tuple[str, ...], kind: int) -> str:
    which = [
        (float(amount), name)
        for amount, use, name in zip(amounts, mask, classes, strict=True)
        if use and amount >= _SAID
    ]
    if not which:
        return ""
    total = sum(amount for amount, _ in which)
    names = ", ".join(name if len(which) == 1 else f"{amount:.1f} {name}" for amount, name in which)
    word = _KINDS[kind][0] if f"{total:.1f}" == "1.0" else _KINDS[kind][1]
    return f"{total:.1f} {word} ({names})"


def _signs(
    strength: NDArray[Any],
    verdicts: NDArray[Any],
    used: NDArray[Any],
    classes: tuple[str, ...],
) -> str:
    """What speaks for errors in a frame before anything was learned; all arrays are (K, 2).

    Verdicts of temporal coherence are counted; where there is none of a kind, the scores alone
    speak, and no number is given: their strength is no count.
    """
    said, aside = (
        ", ".join(filter(None, (_sign(strength, verdicts, mask, classes, kind) for kind in (0, 1))))
        for mask in (used, ~used)
    )
    return (said or "no sign of an error") + (f"; not counted: {aside}" if aside else "")


def _sign(
    strength: NDArray[Any],
    verdicts: NDArray[Any],
    mask: NDArray[Any],
    classes: tuple[str, ...],
    kind: int,
) -> str:
    found = np.where(mask[:, kind], verdicts[:, kind], 0)
    if found.any():
        number = int(found.sum())
        what = (
            counted(number, "unconfirmed detection")
            if kind == 0
            else counted(number, "expected object")
        )
        rows = np.flatnonzero(found)
        names = ", ".join(
            classes[row] if len(rows) == 1 else f"{found[row]} {classes[row]}" for row in rows
        )
        return f"{what} ({names})"
    amounts = np.where(mask[:, kind], strength[:, kind], 0)
    rows = np.argsort(-amounts, kind="stable")[:_NAMED]
    names = ", ".join(classes[row] for row in rows if amounts[row] >= _SAID)
    return f"{('unsure', 'weak')[kind]} detections ({names})" if names else ""
