"""``vidal.Campaign``: rounds of selecting, annotating and training, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from vidal.api.exchange import Exchange
from vidal.api.given import path_of, place_of, text, truth
from vidal.api.options import PathLike
from vidal.api.selections import Selection
from vidal.api.watch import Console, Lines
from vidal.assemble.campaign import begin_campaign, engines_of, train_campaign
from vidal.assemble.campaign_report import report_campaign
from vidal.assemble.config import campaign_config
from vidal.assemble.evaluation import Evaluation, evaluate_campaign
from vidal.assemble.gathering import gather_campaign
from vidal.assemble.own import NewDetections, plan_next
from vidal.assemble.selection import device_of
from vidal.assemble.told import tell_round
from vidal.campaign.due import trains_round
from vidal.campaign.folder import open_campaign
from vidal.campaign.heartbeat import beating
from vidal.campaign.loop import Trained, select_round
from vidal.campaign.record import Round, Split
from vidal.campaign.relink import Move, Relinked, relink
from vidal.campaign.status import describe
from vidal.errors import UsageError
from vidal.evidence.again import again
from vidal.evidence.given import Frames
from vidal.evidence.places import EngineName
from vidal.evidence.shards import WHOLE, Shard
from vidal.formats.detections import Transform
from vidal.report import write_outputs
from vidal.selection.gathering import Gathering


class Campaign(Exchange):
    """A campaign in a folder: it holds no state of its own, so several processes may have one.

    Every method locks the folder for its own time; another process that works on it meanwhile is
    answered with ``CampaignBusy``. A method that was interrupted is called again, and ends as if
    it had not been.

    >>> work = vidal.Campaign.create(
    ...     "work", videos="clips/", classes=["car", "pedestrian", "cyclist", "wheelchair"],
    ...     detector="scenes-tiny", budget="3", initial="2")
    >>> asked = work.select(report=False, progress=False)
    >>> len(asked)
    2
    >>> done = work.import_("labels.coco.json")
    >>> done.labelled, done.waiting
    (2, 0)
    >>> work.status()["frames"]["labelled"]
    2

    Attributes:
        folder: where it lies.
    """

    def __repr__(self) -> str:
        return f"<Campaign in {self.folder}>"

    @classmethod
    def open(cls, folder: PathLike) -> Campaign:
        """The campaign that was begun in a folder.

        Raises:
            InputError: there is none.
        """
        with open_campaign(path_of("folder", folder), lock=False):
            return cls(folder)

    @classmethod
    def create(
        cls,
        folder: PathLike,
        *,
        config: PathLike | Mapping[str, Any] | None = None,
        initial_labels: bool | None = None,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Campaign:
        """Begin a campaign; one of the same configuration that is there already is opened.

        Args:
            folder: made if it is not there.
            config: a YAML file, or its content as a mapping (``data``, ``detector``, ``selection``,
                ``training``, ...); relative paths count from the file, or from here.
            initial_labels: whether labels of training clips are round 0. Default: where ``labels``
                are given.
            settings: any key of the configuration by its dotted name:
                ``{"selection.gap": 1, "training.epochs": 6}``.
            options: those of ``vidal init`` by name: ``videos``, ``labels``, ``format``,
                ``test_videos``, ``test_labels``, ``test``, ``validation``, ``classes``,
                ``detections`` (with ``detections_images``, ``detections_frames`` and
                ``score_transform``: a campaign about your own detector), ``detector``,
                ``weights``, ``backbone``, ``device``, ``strategy``, ``tracker``, ``budget``,
                ``initial``, ``cost``, ``rounds``, ``seed``; they change what ``config``
                says.

        Raises:
            UsageError: a key or value that cannot be meant.
            InputError: clips, labels or weights that cannot be used.
            CampaignError: there is another campaign here already.
        """
        where = path_of("folder", folder)
        wanted = campaign_config(where, config, options, settings)
        initial = wanted.data.labels is not None if initial_labels is None else initial_labels
        begin_campaign(where, wanted, initial_labels=initial)
        return cls(where)

    def select(
        self,
        *,
        detections: PathLike | None = None,
        detections_images: PathLike | None = None,
        detections_frames: Frames | None = None,
        score_transform: Transform | None = None,
        same_detector: bool = False,
        workers: int = 0,
        engine: EngineName | None = None,
        ray_address: str | None = None,
        ray_gpus: float | None = None,
        report: bool = True,
        progress: bool = True,
    ) -> Selection:
        """Choose the next round's frames, and write the query's files into ``folder/queries``.

        Args:
            detections: of a detector of your own, where the campaign is about one: what the model
                found that you have trained on the answers so far.
            detections_images, detections_frames, score_transform: how they are read. Default: as
                those of before.
            same_detector: your detector was not trained; its detections of before go on.
            workers, engine, ray_address, ray_gpus: where the work is done, for this time, as of
                ``vidal.select``; 0 or None = as configured.
            report: write the report.
            progress: show how far it is.

        Raises:
            AwaitingAnnotation: the last query is not answered.
            CampaignError: the last round is not trained, or no frame can be chosen.
            UsageError: detections for a campaign whose detector is vidal's, or the same again.
            InputError: detections that cannot be read, or of other clips.
        """
        new = _new(detections, detections_images, detections_frames, score_transform, same_detector)
        place = place_of(workers, engine, ray_address, ray_gpus)
        with open_campaign(self.folder) as campaign, ExitStack() as stack:
            coming = plan_next(campaign, new, place)
            job = coming.job
            beat = stack.enter_context(beating(self.folder, "select", coming.number))
            beat.on(device_of(job))
            console = stack.enter_context(Console(quiet=not progress, beat=beat))
            write = partial(
                write_outputs, report=report, engines=job.engines, progress=console.writing
            )
            clips = campaign.clips(job.engines)
            result = again(
                lambda: select_round(
                    campaign,
                    job.plan,
                    clips,
                    engines=job.engines,
                    watcher=console,
                    write=write,
                    trains=coming.trains,
                )
            )
        return Selection(result)

    def gather(
        self,
        shard: str | Shard = WHOLE,
        *,
        detections: PathLike | None = None,
        detections_images: PathLike | None = None,
        detections_frames: Frames | None = None,
        score_transform: Transform | None = None,
        same_detector: bool = False,
        workers: int = 0,
        engine: EngineName | None = None,
        ray_address: str | None = None,
        ray_gpus: float | None = None,
        progress: bool = True,
    ) -> Gathering:
        """Compute what ``select`` needs, on one of several machines; the record stays as it is.

        Args:
            shard: which of how many, counted from 1: ``"2/8"``.
            progress: show how far it is.

        The other arguments are those of ``select``.

        Raises:
            AwaitingAnnotation, CampaignError: no round can be selected now.
            InputError: a clip of the shard is gone.
        """
        new = _new(detections, detections_images, detections_frames, score_transform, same_detector)
        place = place_of(workers, engine, ray_address, ray_gpus)
        part = shard if isinstance(shard, Shard) else Shard.parse(text("shard", shard))
        with (
            open_campaign(self.folder, lock=False) as campaign,
            Console(quiet=not progress) as console,
        ):
            return gather_campaign(campaign, new, part, place=place, watcher=console)

    def train(
        self,
        *,
        epochs: int | None = None,
        backbone: PathLike | None = None,
        pseudo_labels: bool = False,
        progress: bool = True,
    ) -> Trained | None:
        """Fit the detector to all labelled frames; None where there is nothing new to train on.

        Args:
            epochs, backbone, pseudo_labels: for this round only; as of ``vidal train``.
            progress: show loss and time left.

        Raises:
            AwaitingAnnotation: a query waits for its answer.
            UsageError: the training diverges.
        """
        with open_campaign(self.folder) as campaign, ExitStack() as stack:
            beat = stack.enter_context(beating(self.folder, "train", trains_round(campaign)))
            console = stack.enter_context(Console(quiet=not progress, beat=beat))
            return train_campaign(
                campaign,
                epochs=epochs,
                backbone=None if backbone is None else path_of("backbone", backbone),
                pseudo_labels=pseudo_labels,
                progress=Lines(quiet=not progress, beat=beat),
                watcher=console,
            )

    def evaluate(
        self,
        *,
        split: Split = "test",
        round: int | None = None,  # noqa: A002 (the word of the vocabulary)
        queries: bool = True,
        detections: PathLike | None = None,
        progress: bool = True,
    ) -> Evaluation:
        """Average precision of a model on the clips set aside, and what the queries were worth.

        Args:
            split: which clips.
            round: whose model; None = the newest.
            queries: also judge what was picked.
            detections: of a campaign about your own detector: judge these, which no round was
                selected by.
            progress: show how far it is.

        Raises:
            CampaignError: no such model.
            UsageError: no labelled clips in the split.
        """
        new = NewDetections(None if detections is None else path_of("detections", detections))
        with open_campaign(self.folder) as campaign, ExitStack() as stack:
            beat = stack.enter_context(beating(self.folder, "evaluate", round))
            console = stack.enter_context(Console(quiet=not progress, beat=beat))
            return evaluate_campaign(
                campaign, split=split, number=round, queries=queries, new=new, watcher=console
            )

    def report(
        self,
        *,
        round: int | None = None,  # noqa: A002 (the word of the vocabulary)
        out: PathLike | None = None,
        target: float | None = None,
        quick: bool = False,
        progress: bool = True,
    ) -> Path:
        """Write the report of all rounds on one page, or of one round with its pictures.

        Args:
            round: only this one; its query files are written again, too.
            out: where it goes. Default: the campaign's folder; of a round, its own folder there.
            target: AP50 that the learning curve is carried on to; default: the next 0.05.
            quick: run no model; the page has no learning curve then.
            progress: show how far it is.

        Returns:
            The page.

        Raises:
            CampaignError: no such query.
            UsageError: a target outside 0..1, or ``target`` or ``quick`` of one round.
            OutputError: it cannot be written, or would replace a file that vidal did not write.
        """
        place = None if out is None else path_of("out", out)
        with open_campaign(self.folder) as campaign, Console(quiet=not progress) as console:
            if round is None:
                _, files = report_campaign(
                    campaign, out=place, target=target, quick=quick, watcher=console
                )
                return files["report.html"]
            if target is not None or quick:
                raise UsageError("target and quick are about all rounds, not about one.")
            told = tell_round(campaign, round, watcher=console)
            folder = campaign.query(round) if place is None else place
            write = partial(
                write_outputs, engines=engines_of(campaign.config), progress=console.writing
            )
            written = again(lambda: write(told.result(), folder))
            return written["report.html"]

    def withdraw(self) -> Round:
        """Take back the query that waits for its answer.

        Raises:
            CampaignError: no query waits.
        """
        with open_campaign(self.folder) as campaign:
            return campaign.record.withdraw()

    def relink(
        self,
        videos: PathLike | None = None,
        *,
        old: PathLike | None = None,
        new: PathLike | None = None,
    ) -> Relinked:
        """Find the clips that are not where they were, and write down where they are.

        Clips are known by their content, whatever they are called; a file of another content is
        never taken. A project that was moved as a whole needs no relinking.

        Args:
            videos: a folder that holds them, at any depth. Default: those of the configuration.
            old, new: what lay below ``old`` lies below ``new``: clips, labels and weights.

        Returns:
            ``there``, ``found`` (id, path), ``missing`` ids, and ``other``: (id, path) of files in
            a clip's place, or of its name, that hold another clip.

        Raises:
            InputError: a folder that is not there.
            UsageError: ``old`` without ``new``, or the other way round.
            OutputError: the campaign cannot be written.
        """
        move = Move.between(old, new)
        where = None if videos is None else path_of("videos", videos)
        with open_campaign(self.folder) as campaign:
            return relink(campaign, engines=engines_of(campaign.config), videos=where, move=move)

    def status(self) -> dict[str, Any]:
        """Where it stands and what comes next, as ``vidal status --json`` says it."""
        with open_campaign(self.folder, lock=False) as campaign:
            return describe(campaign)

    @property
    def classes(self) -> Sequence[str]:
        """The target classes, in the order of their labels."""
        with open_campaign(self.folder, lock=False) as campaign:
            return campaign.record.classes


def _new(
    detections: PathLike | None,
    images: PathLike | None,
    frames: Frames | None,
    transform: Transform | None,
    same: bool,
) -> NewDetections:
    """Detections of a detector of one's own, as they were given."""
    return NewDetections(
        path=None if detections is None else path_of("detections", detections),
        images=None if images is None else path_of("detections_images", images),
        frames=frames,
        transform=transform,
        same=truth("same_detector", same),
    )
