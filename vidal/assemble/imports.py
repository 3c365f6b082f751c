"""Labels for a campaign: of the query that waits, or of clips that are set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from vidal.assemble.campaign import engines_of, picture_names
from vidal.campaign.answers import frame_of, import_answers, import_held
from vidal.campaign.asking import Asking, Imported, Rules
from vidal.campaign.class_map import ClassMap
from vidal.campaign.config_data import FORMATS
from vidal.campaign.folder import Campaign
from vidal.campaign.record import Split
from vidal.errors import UnknownName, UsageError
from vidal.report import read_query
from vidal.types import FrameRef

_OWN = ("skip_rest", "replace", "dry_run")


def give_labels(
    campaign: Campaign,
    source: Path,
    *,
    format_: str = "auto",
    split: Split = "train",
    skipped: Iterable[str] = (),
    class_map: Sequence[str] = (),
    **switches: bool,
) -> Imported:
    """Read labels, and give them to the frames they are for.

    Args:
        campaign: locked by the caller, unless it is a dry run.
        source: what an annotation tool has exported.
        format_: of ``READERS`` or of a data set, or ``auto``.
        split: ``train``: the frames that wait; else the clips of the split, for evaluation only.
        skipped: frames that cannot be labelled: names of pictures, or ``clip@000123``.
        class_map: rules such as ``van=car``; see ``vidal.campaign.class_map``.
        switches: ``skip_rest``, ``replace``, ``dry_run``, and fields of ``Rules``.

    Raises:
        UnknownName: no such switch, format or class.
        UsageError: options that do not go together, a split without clips.
        InputError, FormatError, LabelsMismatch, CampaignError: see ``import_answers``.
    """
    known = [*_OWN, *(each.name for each in fields(Rules))]
    for name in switches:
        if name not in known:
            raise UnknownName("option", name, known)
    if format_ not in ("auto", *FORMATS):
        raise UnknownName("format", format_, ["auto", *FORMATS])
    names = picture_names(campaign)
    asking = Asking(
        path=source,
        names=names,
        pictures=picture_files(campaign),
        format=format_,
        rules=Rules(**{name: on for name, on in switches.items() if name not in _OWN}),
        classes=ClassMap.parse(class_map, campaign.record.classes),
        skipped=tuple(frame_of(text, names) for text in skipped),
        **{name: on for name, on in switches.items() if name in _OWN},
    )
    found = campaign.found(engines_of(campaign.config), split, keep=not asking.dry_run)
    if split == "train":
        return import_answers(campaign, found, asking)
    if asking.skipped or asking.skip_rest:
        raise UsageError(f"--skipped and --skip-rest do not go with --split {split}.")
    if not (found.clips or found.lost):
        raise UsageError(
            f"the campaign has no clips in the split {split}.",
            hint="Clips are set aside when a campaign is begun: `vidal init --test`.",
        )
    return import_held(campaign, found, asking, split)


def picture_files(campaign: Campaign) -> dict[FrameRef, Path]:
    """Frame -> the picture that its query was written with, of all rounds."""
    known: dict[FrameRef, Path] = {}
    for entry in campaign.record.rounds():
        path = campaign.query(entry.number) / "query.json"
        if path.is_file():
            for frame in read_query(path).frames:
                if frame.file:
                    known[frame.ref] = path.parent / frame.file
    return known
