"""What a record of a campaign consists of: rounds, clips, states of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vidal.types import BoolArray

Split = Literal["train", "validation", "test"]
GIVEN = "given"
"""The strategy of round 0 where labels were there before the campaign."""


@dataclass(frozen=True, slots=True)
class Round:
    """One row of the rounds: ``state`` is queried, answered, trained or withdrawn.

    A round that has a model and is not trained has a stale one: answers that it was trained on were
    corrected, or taken back.
    """

    number: int
    strategy: str
    wanted: int
    state: str
    model: str | None

    @property
    def stale(self) -> bool:
        """Whether its model was trained on answers that are not those any more."""
        return self.model is not None and self.state != "trained"


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """A clip of the campaign.

    Attributes:
        id: of the clip.
        path: relative to the campaign where it lies inside it, else absolute.
        frames: how many it has.
        split: what it is for.
        root: the folder that was searched when it was found, like ``path``: part of the id.
    """

    id: str
    path: str
    frames: int
    split: Split
    root: str = "."


@dataclass(frozen=True, slots=True, eq=False)
class FrameStates:
    """Masks (F,) of one clip; a frame in none of them is unlabelled."""

    queried: BoolArray
    labelled: BoolArray
    skipped: BoolArray

    @property
    def taken(self) -> BoolArray:
        """Frames that may not be queried."""
        return self.queried | self.labelled | self.skipped
