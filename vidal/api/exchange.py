"""What goes out of a campaign to annotation tools and comes back: methods of ``vidal.Campaign``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vidal.api.exports import export_campaign
from vidal.api.given import path_of, text, texts
from vidal.api.options import PathLike
from vidal.api.servers import push_folder, target_of
from vidal.assemble.imports import give_labels
from vidal.assemble.servers import pull_answers
from vidal.campaign.asking import Imported
from vidal.campaign.folder import open_campaign
from vidal.campaign.record import Split
from vidal.campaign.undo import Import, Undone, imports, undo
from vidal.errors import UsageError
from vidal.exports import Exported
from vidal.exports.order import Order
from vidal.servers.push import Pushed


class Exchange:
    """Exports, imports and servers of the campaign in a folder.

    Attributes:
        folder: where it lies.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = path_of("folder", folder)

    def export(
        self,
        to: str,
        *,
        round: int | None = None,  # noqa: A002 (the word of the vocabulary)
        out: PathLike | None = None,
        boxes: str | None = None,
        context: str | None = None,
        labelled: bool = False,
        split: Split | None = None,
        unknown: str | None = None,
        progress: bool = True,
    ) -> Exported:
        """Write frames into an archive that an annotation tool, or a training, takes as it is.

        The frames of the query that wait go out with pre-annotations; those of an answered round,
        and with ``labelled``, with their labels.

        Args:
            to: ``"cvat"``, ``"cvat-video"``, ``"label-studio"``, ``"coco"``, ``"yolo"``, ``"mot"``,
                ``"fiftyone"`` or ``"csv"``.
            round: whose query; None = the newest. With ``labelled``: None = all rounds.
            out: ``*.zip``, or a folder. Default: an archive in ``folder/exports``.
            boxes: proposals that go along: ``"kept"`` (without likely false alarms), ``"all"`` or
                ``"none"``. Default: all where the format tells verdicts, else those kept.
            context: neighbours that are only shown: ``"2s"``, or a number of frames as text.
            labelled: all frames that are labelled; whole clips to train, val and test.
            split: with ``labelled``: of these clips only.
            unknown: unknown objects that people labelled: ``"drop"``, or ``"class"``. Default:
                drop with ``labelled``, class for the answers of a round.
            progress: show how far it is.

        Raises:
            UsageError: options that do not go together, or what the format cannot hold.
            CampaignError: no such query.
            InputError, FormatError: a picture or clip that cannot be used; names it.
            OutputError: the place cannot be written, or holds what vidal did not write.
        """
        place = None if out is None else path_of("out", out)
        return export_campaign(
            self.folder,
            Order.of(to, out=place, boxes=boxes, context=context, unknown=unknown),
            round_=round,
            labelled=labelled,
            split=split,
            quiet=not progress,
        )

    def push(
        self,
        to: str,
        *,
        url: str,
        project: str,
        round: int | None = None,  # noqa: A002 (the word of the vocabulary)
        boxes: str | None = None,
        timeout: float = 60.0,
        progress: bool = True,
    ) -> Pushed:
        """Bring the frames that wait to a project of an annotation server.

        Args:
            to, url, project, boxes, timeout, progress: as of ``vidal.push``.
            round: whose query; None = the newest.

        Raises:
            CampaignError: no such query, or none of its frames waits.
            UsageError, ServerError, InputError, FormatError: as ``vidal.push``.
        """
        target = target_of(to, url, project, timeout)
        return push_folder(self.folder, target, round_=round, boxes=boxes, quiet=not progress)

    def pull(
        self, source: str, *, url: str, project: str, timeout: float = 60.0, **options: Any
    ) -> Imported:
        """Fetch the answers in a project of an annotation server, and import them.

        Args:
            source: ``"label-studio"``.
            url, project, timeout: as of ``vidal.push``.
            options: those of ``import_labels``.

        Raises:
            UsageError, ServerError: the server cannot be used, or has no such project.
            LabelsMismatch, CampaignError: as ``import_labels``.
        """
        done = pull_answers(self.folder, target_of(source, url, project, timeout))
        return self.import_labels(done.file, format="label-studio", **options)

    def import_labels(
        self,
        source: PathLike,
        *,
        format: str = "auto",  # noqa: A002 (the option's name)
        skipped: Iterable[str] = (),
        split: Split = "train",
        map: Iterable[str] | Mapping[str, str] = (),  # noqa: A002 (the option's name)
        replace: bool = False,
        dry_run: bool = False,
        **options: bool,
    ) -> Imported:
        """Give the frames that wait their labels; what an annotation tool has exported.

        Args:
            source: a file or folder.
            format: as of ``vidal import --format``.
            skipped: frames that cannot be labelled: names of pictures, or ``clip@000123``.
            split: ``"test"``, ``"validation"``: labels of clips set aside, for ``evaluate``.
            map: which class of the file is which: ``{"van": "car"}``, or rules as of ``--map``:
                ``["van=car", "vehicle.type"]``.
            replace: frames that were answered before get the file's answer; the former one stays
                in the record.
            dry_run: say what would happen, and change nothing; the folder may be read-only, or
                another process at work in it.
            options: the switches of ``vidal import``: ``empty_ok``, ``unchanged_ok``,
                ``unknown_ok``, ``skip_rest``, ``strict``.

        Raises:
            InputError, FormatError: it cannot be read; says where.
            LabelsMismatch: labels of other clips, sizes, pictures or (``strict``) classes.
            CampaignError: no query waits.
        """
        where = path_of("source", source)
        rules = [f"{a}={b}" for a, b in map.items()] if isinstance(map, Mapping) else map
        with open_campaign(self.folder, lock=not dry_run, migrates=not dry_run) as campaign:
            return give_labels(
                campaign,
                where,
                format_=text("format", format),
                skipped=texts("skipped", skipped),
                split=split,
                class_map=texts("map", rules),
                replace=replace,
                dry_run=dry_run,
                **options,
            )

    import_ = import_labels

    def undo(
        self,
        *,
        round: int | None = None,  # noqa: A002 (the word of the vocabulary)
        file: PathLike | None = None,
        dry_run: bool = False,
    ) -> Undone:
        """Take answers back, of one import or one round: the frames wait again.

        Every version of an answer stays in the record.

        Args:
            round: whose answers are taken back.
            file: whose newest import is; neither = the newest import of all.
            dry_run: only tell.

        Raises:
            CampaignError: nothing to take back, or another round waits for its answer.
        """
        if round is not None and file is not None:
            raise UsageError("round and file do not go together.")
        name = None if file is None else str(path_of("file", file))
        with open_campaign(self.folder, lock=not dry_run, migrates=not dry_run) as campaign:
            return undo(campaign.record, number=round, file=name, dry_run=dry_run)

    def imports(self) -> list[Import]:
        """What was imported so far: file, SHA-256, when and by whom, and how much of it counts."""
        with open_campaign(self.folder, lock=False) as campaign:
            return imports(campaign.record)
