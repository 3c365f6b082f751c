"""Who answers a query: ground truth, people, or a file that people made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidal.errors import AwaitingAnnotation, InputError
from vidal.types import Annotations, Explanation, FrameRef, Query


@dataclass(frozen=True, slots=True)
class TruthOracle:
    """Answers every frame at once from ground truth: the annotator of a simulation.

    Attributes:
        truth: clip id -> labels, with the classes of the campaign.
    """

    truth: Mapping[str, Annotations]

    def annotate(self, round_: int, frames: Sequence[FrameRef]) -> Mapping[str, Annotations]:
        """The labels of these frames, and of no others.

        Raises:
            InputError: the truth says nothing about one of them.
        """
        return {
            clip: only(self._table(clip, indices), indices)
            for clip, indices in by_clip(frames).items()
        }

    def _table(self, clip: str, indices: Sequence[int]) -> Annotations:
        table = self.truth.get(clip)
        missing = [i for i in indices if table is None or not known(table, i)]
        if table is None or missing:
            raise InputError(
                str(FrameRef(clip, missing[0])),
                "the labels say nothing about this frame",
                hint="A simulation needs labels of all frames of its training clips.",
            )
        return table


@dataclass(frozen=True, slots=True)
class PeopleOracle:
    """People, who take their time: asking them always ends in ``AwaitingAnnotation``."""

    def annotate(self, round_: int, frames: Sequence[FrameRef]) -> Mapping[str, Annotations]:
        """No answer yet.

        Raises:
            AwaitingAnnotation: always.
        """
        raise AwaitingAnnotation(round_, len(frames))


@dataclass(frozen=True, slots=True)
class GivenOracle:
    """Answers that are there already, as far as they go: what `vidal import` has read.

    Attributes:
        tables: clip id -> labels, with the classes of the campaign.
    """

    tables: Mapping[str, Annotations]

    def annotate(self, round_: int, frames: Sequence[FrameRef]) -> Mapping[str, Annotations]:
        """The labels of those frames that have some."""
        answers = {}
        for clip, indices in by_clip(frames).items():
            table = self.tables.get(clip)
            if table is not None:
                answers[clip] = only(table, [i for i in indices if known(table, i)])
        return answers


def given_query(given: Mapping[str, Annotations]) -> Query:
    """Round 0 of a campaign that begins with labels: the frames that have some."""
    refs = tuple(
        FrameRef(clip, int(index))
        for clip in sorted(given)
        for index in np.flatnonzero(given[clip].labelled)
    )
    words = ("labelled before the campaign began",) * len(refs)
    return Query(0, refs, np.full(len(refs), np.nan), Explanation(words, {}), len(refs))


def by_clip(frames: Sequence[FrameRef]) -> dict[str, list[int]]:
    """Clip id -> indices of its frames."""
    grouped: dict[str, list[int]] = {}
    for ref in frames:
        grouped.setdefault(ref.clip, []).append(ref.index)
    return grouped


def known(table: Annotations, index: int) -> bool:
    """Whether a frame is labelled; frames beyond the table are not."""
    return 0 <= index < table.frames and bool(table.labelled[index])


def only(table: Annotations, indices: Sequence[int]) -> Annotations:
    """The table with these frames alone."""
    kept = np.zeros(table.frames, np.bool_)
    kept[list(indices)] = True
    labelled = table.labelled & kept
    return replace(table.keep(labelled[table.frame]), labelled=labelled)
