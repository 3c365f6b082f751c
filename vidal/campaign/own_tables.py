"""One's own detections in a campaign's evidence store: there, whatever becomes of their files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidal.campaign.folder import Campaign
from vidal.campaign.own import changed
from vidal.errors import InputError, NoClips
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.given import GivenDetections
from vidal.evidence.given_clips import built, check_needs, take_in
from vidal.evidence.load import adopt, has_all, keeper
from vidal.evidence.places import EngineMaker, store_at
from vidal.store import content_key, from_arrays, to_arrays
from vidal.types import Clip, SkippedClip, Stored

VERSION = 1
"""Raise it when the same detections would be taken in another way."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What became of given detections.

    Attributes:
        clips: ids of the clips that have a table.
        without: (id, why) of the others.
        notes: one sentence each.
        features: whether detections have features.
        distributions: whether they state class distributions.
    """

    clips: tuple[str, ...]
    without: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    features: bool
    distributions: bool

    def check(self, needs: frozenset[str], strategy: str) -> tuple[str, ...]:
        """Remarks for a strategy, which is refused where it asks for what there is not.

        Raises:
            UsageError: names what is missing.
        """
        check_needs(self.features, needs, strategy)
        return (*self.notes, *built(self.distributions, needs))

    def skipped(self, clips: Collection[Clip]) -> tuple[SkippedClip, ...]:
        """Those of the clips that have no table, as a run lists what it did not use."""
        why = dict(self.without)
        return tuple(SkippedClip(c.path, why[c.id]) for c in clips if c.id in why)


def stock_campaign(campaign: Campaign, given: GivenDetections, engines: EngineMaker) -> Stock:
    """Make sure that the tables of all clips of a campaign, test clips too, are in its store.

    Raises:
        InputError: they are not, and the files are gone or hold something else now.
        FormatError, LabelsMismatch, NoClips, UnknownName: as ``take_in``.
    """
    clips = list(campaign.found(engines, None).clips.values())
    rate = Fraction(campaign.config.data.image_rate)
    return stock(campaign.evidence, given, clips, rate=rate)


def stock(root: Path, given: GivenDetections, clips: Sequence[Clip], *, rate: Fraction) -> Stock:
    """The same for the clips that are given, in the store at ``root``."""
    store, plan = store_at(root), EvidencePlan(root, given, 1, None, None)
    key = content_key("given", VERSION, sorted(clip.id for clip in clips), given.key)
    kept = store.get(key)
    if kept is not None:
        known = from_arrays(Stock, kept)
        mine = [clip for clip in clips if clip.id in set(known.clips)]
        adopt(store, [(plan.keys(clip), clip) for clip in mine], given=True)
        keys = [plan.keys(clip) for clip in mine]
        if has_all(store, keys, "detections"):
            return known
    _check_files(given)
    taken = take_in(
        given,
        clips,
        needs=frozenset(),
        strategy="",
        keep=keeper(plan),
        rate=rate,
        asked="data.classes (--classes)",
    )
    there = {clip.id for clip in taken.clips}
    left = [clip.id for clip in clips if clip.id not in there]
    why = {each.path: each.reason for each in taken.skipped}
    paths = {clip.id: clip.path for clip in clips}
    made = Stock(
        clips=tuple(sorted(there)),
        without=tuple((name, why[paths[name]]) for name in left),
        notes=taken.notes,
        features=taken.features,
        distributions=taken.distributions,
    )
    store.put(key, to_arrays(made), Stored("given-list"))
    return made


def usable(made: Stock, clips: Sequence[Clip], given: GivenDetections) -> list[Clip]:
    """Those of the clips that have a table.

    Raises:
        NoClips: none has.
    """
    found = [clip for clip in clips if clip.id in set(made.clips)]
    if clips and not found:
        raise NoClips(
            given.path,
            f"the detections are of other clips than these ({clips[0].path.name}, ...)",
            hint="Run your detector over the clips of the campaign, and name that output.",
        )
    return found


def _check_files(given: GivenDetections) -> None:
    """Refuse files that are gone, or that are not what was given.

    Raises:
        InputError: names them, and the way out.
    """
    names = ("classes", "images", "frames", "transform")
    how = {name: getattr(given, name) for name in names}
    try:
        there = GivenDetections.of(given.path, **how)
    except InputError as error:
        raise InputError(
            error.path,
            f"detections that a round was selected by cannot be read again: {error.why}",
            hint="Put them back as they were, or tell where they lie now: `vidal relink DIR --from"
            " OLD --to NEW`.",
        ) from error
    if there.digest != given.digest:
        raise changed(given)
