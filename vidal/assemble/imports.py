"""Labels for a campaign: of the query that waits, or of clips that are set aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from vidal.assemble.campaign import engines_of, picture_names
from vidal.campaign.answers import Imported, Rules, frame_of, import_answers, import_held
from vidal.campaign.folder import Campaign
from vidal.campaign.record import Split
from vidal.errors import UnknownName, UsageError


def give_labels(
    campaign: Campaign,
    source: Path,
    *,
    format_: str = "auto",
    split: Split = "train",
    skipped: Iterable[str] = (),
    skip_rest: bool = False,
    **rules: bool,
) -> Imported:
    """Read labels, and give them to the frames they are for.

    Args:
        campaign: locked by the caller.
        source: what an annotation tool has exported.
        format_: of ``READERS``, or ``auto``.
        split: ``train``: the frames that wait; else the clips of the split, for evaluation only.
        skipped: frames that cannot be labelled: names of pictures, or ``clip@000123``.
        skip_rest: skip all frames that the file does not answer.
        rules: fields of ``Rules``.

    Raises:
        UnknownName: no such rule.
        UsageError: options that do not go together, a split without clips.
        InputError, FormatError, LabelsMismatch, CampaignError: see ``import_answers``.
    """
    known = [each.name for each in fields(Rules)]
    for name in rules:
        if name not in known:
            raise UnknownName("option", name, ["skip_rest", *known])
    names, chosen = picture_names(campaign), Rules(**rules)
    found = campaign.found(engines_of(campaign.config), split)
    refs = [frame_of(text, names) for text in skipped]
    if split == "train":
        return import_answers(
            campaign,
            found,
            source,
            format_=format_,
            names=names,
            skipped=refs,
            skip_rest=skip_rest,
            rules=chosen,
        )
    if refs or skip_rest:
        raise UsageError(f"--skipped and --skip-rest do not go with --split {split}.")
    if not (found.clips or found.lost):
        raise UsageError(
            f"the campaign has no clips in the split {split}.",
            hint="Clips are set aside when a campaign is begun: `vidal init --test`.",
        )
    return import_held(campaign, found, source, format_=format_, names=names, rules=chosen)
