"""What the report of a campaign tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vidal.evaluate.intervals import Interval
from vidal.evaluate.outlook import Outlook
from vidal.query.cost import Cost, Spent
from vidal.selection.forecast import Forecast
from vidal.types import SkippedClip


@dataclass(frozen=True, slots=True)
class RoundStory:
    """One round.

    Attributes:
        number, strategy, state: as the record has them; ``given`` labels are a round, too.
        asked: frames that were asked for.
        labelled, waiting, skipped: what became of them.
        objects: class -> annotated objects of its frames; unknown ones under ``""``.
        expected: what its frames were expected to cost; None where that is not known.
        real: what those that are annotated did cost, by the rates; None where none is.
        report: its own report, relative to that of the campaign; empty where there is none.
    """

    number: int
    strategy: str
    state: str
    asked: int
    labelled: int
    waiting: int
    skipped: int
    objects: Mapping[str, int]
    expected: Spent | None = None
    real: Spent | None = None
    report: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        sides = {"expected": self.expected, "real": self.real}
        return {
            "round": self.number,
            "strategy": self.strategy,
            "state": self.state,
            "asked": self.asked,
            "labelled": self.labelled,
            "waiting": self.waiting,
            "skipped": self.skipped,
            "objects": {name: n for name, n in self.objects.items() if name},
            "unknown_objects": self.objects.get("", 0),
            "cost": {n: None if each is None else each.as_dict() for n, each in sides.items()},
            "report": self.report,
        }


@dataclass(frozen=True, slots=True)
class Point:
    """One model of the learning curve.

    Attributes:
        round: whose answers it was trained on; None = it was there before.
        labelled: frames that it was trained on.
        ap: AP50 on the test clips, with its 95 % interval over draws of these clips; infinite ends
            where there are too few to draw from, NaN where they hold no object.
    """

    round: int | None
    labelled: int
    ap: Interval

    def as_dict(self) -> dict[str, Any]:
        """JSON values; null where there is no number."""
        ends = {"ap50": self.ap.value, "low": self.ap.low, "high": self.ap.high}
        told = {name: n if math.isfinite(n) else None for name, n in ends.items()}
        return {"round": self.round, "labelled": self.labelled, **told}


@dataclass(frozen=True, slots=True, eq=False)
class CampaignStory:
    """All rounds of a campaign.

    Attributes:
        name: of the campaign.
        classes: its classes.
        clips: split -> number of clips.
        frames: all, labelled, waiting, skipped and unlabelled frames of the training clips.
        rounds: by number.
        cost: the rates.
        curve: models on the test clips, by labelled frames.
        test: what the models were judged by, in words.
        outlook: to a target; None where no models were judged.
        forecasts: of each round whose errors were expected from earlier answers.
        next: the next step: a command, and why.
        skipped: clips that cannot be used now.
        notes: remarks, one sentence each.
        settings, versions: as in the report of a round.
    """

    name: str
    classes: tuple[str, ...]
    clips: Mapping[str, int]
    frames: Mapping[str, int]
    rounds: tuple[RoundStory, ...]
    cost: Cost
    curve: tuple[Point, ...] = ()
    test: str = ""
    outlook: Outlook | None = None
    forecasts: tuple[Forecast, ...] = ()
    next: tuple[str, str] = ("", "")
    skipped: tuple[SkippedClip, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def spent(self) -> Spent | None:
        """What all annotations did cost, by the rates; None where there are none."""
        real = [each.real for each in self.rounds if each.real is not None]
        if not real:
            return None
        return Spent(
            sum(each.frames for each in real),
            sum(each.known for each in real),
            sum(each.unknown for each in real),
            self.cost,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        spent = self.spent
        return {
            "format": "vidal-campaign-report",
            "schema": 1,
            "name": self.name,
            "classes": list(self.classes),
            "clips": dict(self.clips),
            "frames": dict(self.frames),
            "rounds": [each.as_dict() for each in self.rounds],
            "rates": self.cost.as_dict(),
            "spent": None if spent is None else spent.as_dict(),
            "judged_by": self.test,
            "curve": [each.as_dict() for each in self.curve],
            "outlook": None if self.outlook is None else self.outlook.as_dict(),
            "forecasts": [each.as_dict() for each in self.forecasts],
            "next": {"command": self.next[0], "why": self.next[1]},
            "skipped": [{"path": str(each.path), "reason": each.reason} for each in self.skipped],
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "versions": dict(self.versions),
        }
