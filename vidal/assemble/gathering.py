"""One of several machines gathers what the next round of a campaign needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidal.assemble.own import NewDetections, plan_next
from vidal.campaign.folder import Campaign
from vidal.campaign.own_tables import stock_campaign, usable
from vidal.evidence.again import again
from vidal.evidence.clips import Dealt
from vidal.evidence.given import GivenDetections
from vidal.evidence.shards import Shard
from vidal.evidence.watch import Watcher
from vidal.selection.gathering import Gathering, gather_dealt


def gather_campaign(
    campaign: Campaign,
    new: NewDetections,
    shard: Shard,
    *,
    place: Mapping[str, Any] | None = None,
    watcher: Watcher,
) -> Gathering:
    """Compute what ``vidal select --campaign`` needs of a shard's clips; the record stays as it is.

    Training clips are dealt by their frames and ids, as the record has them. What earlier models
    said of labelled clips is looked up, or computed, by the selection itself.

    Args:
        campaign: open; need not be locked.
        new, place: see ``plan_next``.
        shard: which.
        watcher: told how far it is.

    Raises:
        AwaitingAnnotation, CampaignError: no round can be selected now.
        InputError: a clip of the shard is gone.
    """
    job = plan_next(campaign, new, place).job
    deal = shard.deal({entry.id: entry.frames for entry in campaign.record.clips("train")})
    with job.engines.early() as engines:
        clips = list(campaign.clips(engines, only=deal.own | deal.divided).values())
        detector = job.plan.evidence.detector
        if isinstance(detector, GivenDetections):
            clips = usable(stock_campaign(campaign, detector, engines), clips, detector)
        dealt = Dealt(
            [clip for clip in clips if clip.id in deal.own],
            [clip for clip in clips if clip.id in deal.divided],
            [],
        )
        return again(lambda: gather_dealt(job.plan, shard, dealt, engines=engines, watcher=watcher))
