"""``vidal.export``: the frames of a query, for an annotation tool."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from vidal.api.given import path_of
from vidal.api.options import PathLike
from vidal.api.watch import Console
from vidal.assemble.export import export_query, export_round, query_folder
from vidal.assemble.export_labelled import export_labelled
from vidal.campaign.folder import open_campaign, recorded
from vidal.campaign.record import Split
from vidal.errors import UnknownName, UsageError
from vidal.exports import Exported
from vidal.exports.order import Order

_SPLITS = ("train", "validation", "test")


def export(
    query: PathLike,
    to: str,
    *,
    out: PathLike | None = None,
    boxes: str | None = None,
    context: str | None = None,
    progress: bool = True,
) -> Exported:
    """Write the frames of a `vidal.select` that was saved into an archive for an annotation tool.

    Args:
        query: the folder of the selection, or its ``query.json``.
        to: ``"cvat"``, ``"cvat-video"``, ``"label-studio"``, ``"coco"``, ``"yolo"``, ``"mot"``,
            ``"fiftyone"`` or ``"csv"``.
        out: ``*.zip``, or a folder. Default: an archive in ``query/exports``.
        boxes: proposals that go along: ``"kept"`` (without likely false alarms), ``"all"`` or
            ``"none"``. Default: all where the format tells verdicts, else those kept.
        context: neighbours that are only shown: ``"2s"``, or a number of frames as text.
        progress: show how far it is.

    Returns:
        ``path`` of the archive, ``frames``, ``boxes``, ``verdicts``, ``notes``.

    Raises:
        UsageError: an option that cannot be meant, or what the format cannot hold.
        InputError, FormatError: the query, or a picture of it, cannot be used; names it.
        OutputError: the place cannot be written, or holds what vidal did not write.
    """
    folder = path_of("query", query)
    if recorded(folder):
        raise UsageError(f"{folder} is a campaign.", hint="Use vidal.Campaign(...).export(...).")
    order = _order(to, out, boxes, context, None)
    with Console(quiet=not progress) as console:
        return export_query(query_folder(folder), order, console.writing)


def export_campaign(
    folder: Path,
    order: Order,
    *,
    round_: int | None,
    labelled: bool,
    split: str | None,
    quiet: bool,
) -> Exported:
    """The query of a campaign, or its labelled frames; see ``Campaign.export``.

    Raises:
        UsageError: options that do not go together, or nothing that is labelled.
        CampaignError: no such query.
        InputError, FormatError, OutputError: as ``export``.
    """
    if split is not None and split not in _SPLITS:
        raise UnknownName("split", split, _SPLITS)
    if split is not None and not labelled:
        raise UsageError("--split goes with --labelled.")
    with open_campaign(folder, lock=False) as campaign, Console(quiet=quiet) as console:
        if labelled:
            return export_labelled(
                campaign,
                order,
                split=cast(Split | None, split),
                number=round_,
                progress=console.writing,
            )
        return export_round(
            campaign, order, number=round_, watcher=console, progress=console.writing
        )


def export_folder(
    folder: Path,
    *,
    to: str,
    out: Path | None,
    round_: int | None,
    boxes: str | None,
    context: str | None,
    labelled: bool,
    split: str | None,
    unknown: str | None,
    quiet: bool,
) -> Exported:
    """What `vidal export` does: a campaign's folder, or that of a query."""
    order = _order(to, out, boxes, context, unknown)
    if recorded(folder):
        return export_campaign(
            folder, order, round_=round_, labelled=labelled, split=split, quiet=quiet
        )
    given = {"--round": round_ is not None, "--labelled": labelled, "--split": split is not None}
    query = query_folder(folder)
    for name, is_given in given.items():
        if is_given:
            raise UsageError(f"{name} needs a campaign; {folder} is the folder of a query.")
    with Console(quiet=quiet) as console:
        return export_query(query, order, console.writing)


def _order(
    to: str, out: PathLike | None, boxes: str | None, context: str | None, unknown: str | None
) -> Order:
    place = None if out is None else path_of("out", out)
    return Order.of(to, out=place, boxes=boxes, context=context, unknown=unknown)
