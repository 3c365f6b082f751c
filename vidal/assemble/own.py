"""The next round of a campaign with a detector of one's own: from what was given to its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidal.assemble.campaign import plan_round
from vidal.assemble.selection import SelectionJob
from vidal.campaign.folder import Campaign
from vidal.campaign.loop import check_selectable
from vidal.campaign.own import is_own, newest, next_detections
from vidal.errors import UsageError
from vidal.evidence.given import Frames, GivenDetections
from vidal.formats.detections import Transform


@dataclass(frozen=True, slots=True)
class NewDetections:
    """Detections for the next round, as somebody gives them.

    Attributes:
        path: a file, a folder or a pattern; None = none are given.
        images, frames, transform: how they are read; None = as those of before.
        same: the detector of before goes on.
    """

    path: Path | None = None
    images: Path | None = None
    frames: Frames | None = None
    transform: Transform | None = None
    same: bool = False


NO_DETECTIONS = NewDetections()


@dataclass(frozen=True, slots=True)
class NextRound:
    """The next round of a campaign.

    Attributes:
        number: of the round.
        job: how it is selected, and where.
        trains: see ``select_round``.
    """

    number: int
    job: SelectionJob
    trains: int | None = None


def plan_next(
    campaign: Campaign, new: NewDetections, place: Mapping[str, Any] | None = None
) -> NextRound:
    """The next round, with new detections where a detector of one's own makes them.

    Args:
        campaign: open.
        new: what was given; nothing where the detector is vidal's.
        place: where the work is done, for this time: ``workers``, ``engine``, ...; what is 0 or
            None there is as configured.

    Raises:
        AwaitingAnnotation, CampaignError: no round can be selected now.
        UsageError: detections for a campaign with a detector of vidal's, or options without them.
        InputError: detections that cannot be read, or that have changed.
    """
    number = check_selectable(campaign)
    given = {name: value for name, value in (place or {}).items() if value}
    if given:
        campaign = replace(campaign, config=campaign.config.changed(**given))
    if not is_own(campaign):
        refuse_new(campaign, new)
        return NextRound(number, plan_round(campaign))
    files = given_now(campaign, new)
    chosen = next_detections(campaign, files, same=new.same)
    return NextRound(number, plan_round(campaign, given=chosen.given), chosen.trains)


def refuse_new(campaign: Campaign, new: NewDetections) -> None:
    """Refuse detections for a campaign whose detector is vidal's.

    Raises:
        UsageError: some are given.
    """
    if new != NO_DETECTIONS:
        raise UsageError(
            f"{campaign.folder}: detections cannot be given, the detector of this campaign is"
            " trained by vidal.",
            hint="A campaign about your own detector is begun so: `vidal init DIR --videos CLIPS"
            " --detections FILES`.",
        )


def given_now(campaign: Campaign, new: NewDetections) -> GivenDetections | None:
    """With the digest of what lies there; read as those of before, where nothing else is said.

    Raises:
        UsageError: options of detections, and none are given.
        InputError: they cannot be read.
    """
    if new.path is None:
        if new != NewDetections(same=new.same):
            raise UsageError("options of given detections, but no --detections.")
        return None
    before = newest(campaign)
    return GivenDetections.of(
        new.path.absolute(),
        classes=campaign.record.classes,
        images=before.images if new.images is None else new.images.absolute(),
        frames=new.frames or before.frames,
        transform=new.transform or before.transform,
    )
