"""The clips of a campaign that are set aside, with their labels: what models are judged by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vidal.campaign.clips import ghost
from vidal.campaign.config_data import SplitConfig
from vidal.campaign.folder import Campaign
from vidal.campaign.held import held
from vidal.campaign.record import Split
from vidal.campaign.source import open_source
from vidal.errors import UsageError
from vidal.evidence.beside import labels_beside
from vidal.evidence.places import EngineMaker
from vidal.selection.labelled import with_classes
from vidal.types import Annotations, Clip


def set_aside(
    campaign: Campaign, split: Split, engines: EngineMaker
) -> tuple[list[Clip], dict[str, Annotations], tuple[str, ...]]:
    """The clips of a split as the record has it, their labels, and remarks on these.

    Labels are those of the files that the configuration names and, for frames that have some, those
    of `vidal import --split`.

    Raises:
        UsageError: no clip of the split is labelled; names the way out.
        InputError: a labelled clip is gone, or a file of labels is.
    """
    entries = campaign.record.clips(split)
    classes = campaign.record.classes
    imported = {e.id: held(campaign.record, e.id, e.frames) for e in entries}
    truth = {name: table for name, table in imported.items() if table.labelled.any()}
    notes: tuple[str, ...] = ()
    if entries:
        stated, notes = _stated(campaign, split, engines)
        for name, table in stated.items():
            if name in imported:
                truth[name] = _merged(with_classes(table, classes), imported[name])
    if not truth:
        raise UsageError(
            f"the campaign has no labelled clips in the split {split}.",
            hint=_way_out(campaign, split),
        )
    clips = campaign.clips(engines, split, only=truth)
    return list(clips.values()), truth, notes


def _stated(
    campaign: Campaign, split: Split, engines: EngineMaker
) -> tuple[Mapping[str, Annotations], tuple[str, ...]]:
    """The labels of the configuration's files, whatever split they had: the record knows that."""
    data = campaign.config.data
    if data.root is not None or data.scenes is not None:
        whole = data.model_copy(update={"split": SplitConfig()})
        source = open_source(
            campaign.config.model_copy(update={"data": whole}),
            engines=engines,
            store=campaign.evidence,
            scenes=campaign.folder / "scenes",
        )
        return source.truth(), source.notes
    files = [(data.labels, data.format), (data.test_labels, None), (data.start_labels, None)]
    if not any(path for path, _ in files):
        return {}, ()
    found = campaign.found(engines, split)
    others = [e for e in campaign.record.clips() if e.id not in found.clips]
    absent = [ghost(e.id, campaign.place_of(e.path), e.frames) for e in others]
    clips = list(found.clips.values())
    truth: dict[str, Annotations] = {}
    notes: list[str] = []
    for path, name in files:
        if path is not None:
            beside = labels_beside(path, clips, kind=name, classes=data.classes, absent=absent)
            truth.update(beside.match.annotations)
            notes += beside.notes if beside.match.annotations else ()
    return truth, tuple(notes)


def _merged(stated: Annotations, imported: Annotations) -> Annotations:
    """Labels of a file, with those that were imported in the place of the same frames."""
    if not imported.labelled.any() or stated.frames != imported.frames:
        return imported if imported.labelled.any() else stated
    kept = stated.keep(~imported.labelled[stated.frame])
    rows = np.argsort(np.concatenate([kept.frame, imported.frame]), kind="stable")
    return Annotations(
        classes=stated.classes,
        labelled=stated.labelled | imported.labelled,
        frame=np.concatenate([kept.frame, imported.frame])[rows],
        boxes=np.concatenate([kept.boxes, imported.boxes])[rows],
        labels=np.concatenate([kept.labels, imported.labels])[rows],
        track=np.concatenate([kept.track, imported.track])[rows],
        ignore=np.concatenate([kept.ignore, imported.ignore])[rows],
    )


def _way_out(campaign: Campaign, split: Split) -> str:
    if campaign.record.clips(split):
        return f"Label them: `vidal import {campaign.folder} --split {split} --from FILE`."
    return "No clips were set aside: `vidal init` does that with --test, or --test-videos."
