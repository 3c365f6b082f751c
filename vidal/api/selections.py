"""``vidal.select``: the main job as one function call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from vidal.api import given as kinds
from vidal.api.options import PathLike, SelectOptions
from vidal.api.watch import Console
from vidal.assemble.request import SelectionRequest
from vidal.assemble.selection import SelectionJob, plan_selection
from vidal.detect.spec import DetectorSpec
from vidal.errors import UnknownName, UsageError
from vidal.evidence.again import again
from vidal.report import claimed, write_outputs
from vidal.report.query_files import plain
from vidal.selection.plan import Prepared, prepare_selection
from vidal.selection.result import SelectionResult
from vidal.selection.run import run_selection
from vidal.types import SkippedClip
from vidal.words import counted

if TYPE_CHECKING:
    import pandas

Writing = Callable[[str, int, int], None]
"""Told of the files that are written: a stage, how much of it is done, and how much there is."""

_TEXTS = ("detector", "device", "precision", "tracker", "detections_frames", "score_transform")
_PATHS = ("labels", "weights", "config", "detections", "detections_images", "cache")
_MAPPINGS = ("options", "coherence", "flow", "expected", "tracker_options", "class_weights")


def _balance(name: str, value: Any) -> Any:
    return value if value == "auto" else kinds.real(name, value)


def _gap(name: str, value: Any) -> Any:
    return value if isinstance(value, str) else kinds.whole(name, value)


def _cost(name: str, value: Any) -> Any:
    return value if isinstance(value, str) else kinds.mapping(name, value)


_KINDS: dict[str, Callable[[str, Any], Any]] = {
    "gap": _gap,
    **dict.fromkeys(("seed", "batch", "workers"), kinds.whole),
    **dict.fromkeys(("threshold", "random_share", "ray_gpus"), kinds.real),
    "balance": _balance,
    "cost": _cost,
    "known_only": kinds.truth,
    **dict.fromkeys((*_TEXTS, "errors", "size", "turns", "engine", "ray_address"), kinds.text),
    **dict.fromkeys(_PATHS, kinds.path_of),
    **dict.fromkeys(_MAPPINGS, kinds.mapping),
}
"""Options by the kind of their values."""
_MAY_BE_NONE = frozenset(
    (
        *(*_PATHS, *_MAPPINGS, "errors", "size", "turns", "balance", "cost"),
        *("engine", "ray_address", "ray_gpus"),
    )
)


@dataclass(frozen=True, slots=True)
class SelectedFrame:
    """One chosen frame.

    Attributes:
        clip: id of the clip: its name and a digest of its content.
        index: 0-based presentation ordinal in the clip.
        path: the clip's file, or its folder of images.
        seconds: since the clip's first frame.
        score: of the strategy, higher = ask; NaN where it does not score.
        reason: in words.
        parts: named parts of the score.
    """

    clip: str
    index: int
    path: Path
    seconds: float
    score: float
    reason: str
    parts: Mapping[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return f"{self.clip}@{self.index:06d}"


class Selection(Sequence[SelectedFrame]):
    """The chosen frames, most wanted first, and all that was found out about the clips.

    Attributes:
        result: with the evidence of every clip, as the report sees it.
    """

    def __init__(self, result: SelectionResult) -> None:
        self.result = result

    @cached_property
    def frames(self) -> tuple[SelectedFrame, ...]:
        """The chosen frames, most wanted first."""
        query = self.result.query
        parts = query.explanation.parts
        found = []
        for at, ref in enumerate(query.frames):
            clip = self.result.clips[ref.clip]
            found.append(
                SelectedFrame(
                    clip=ref.clip,
                    index=ref.index,
                    path=clip.path,
                    seconds=clip.seconds(ref.index),
                    score=float(query.scores[at]),
                    reason=query.explanation.words[at],
                    parts={n: plain(values[at]) for n, values in parts.items()},
                )
            )
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the result, one sentence each."""
        return self.result.notes

    @property
    def skipped(self) -> tuple[SkippedClip, ...]:
        """Inputs that were not used, with the cause."""
        return self.result.skipped

    def __len__(self) -> int:
        return len(self.result.query)

    def __getitem__(self, at: Any) -> Any:
        return self.frames[at]

    def __iter__(self) -> Iterator[SelectedFrame]:
        return iter(self.frames)

    def __repr__(self) -> str:
        result, count = self.result, len(self)
        return (
            f"<Selection of {counted(count, 'frame')} ({result.budget_words}) by {result.strategy}>"
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """One row a frame: rank, clip, index, path, seconds, score, reason, and ``part.<name>``.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UsageError(
                "pandas is not installed.", hint="pip install pandas; or use `.frames`."
            ) from error
        rows = [
            {
                "rank": rank,
                "clip": frame.clip,
                "index": frame.index,
                "path": str(frame.path),
                "seconds": frame.seconds,
                "score": frame.score,
                "reason": frame.reason,
                **{f"part.{name}": value for name, value in frame.parts.items()},
            }
            for rank, frame in enumerate(self.frames, start=1)
        ]
        fixed = ["rank", "clip", "index", "path", "seconds", "score", "reason"]
        return pd.DataFrame(rows, columns=None if rows else fixed)

    def save(
        self, out: PathLike, *, report: bool = True, progress: Writing | None = None
    ) -> dict[str, Path]:
        """Write what ``vidal select`` writes: query, pictures, pre-annotations and the report.

        Args:
            out: a folder; made if it is not there.
            report: write ``report.html``.
            progress: told how far it is.

        Returns:
            The path of each thing written, by its name.

        Raises:
            OutputError: ``out`` cannot be written, or holds files of the same names that vidal did
                not write.
            UnreadableClip: a chosen frame cannot be decoded any more.
        """
        return write_outputs(
            self.result, kinds.path_of("out", out), report=report, progress=progress
        )


@dataclass(frozen=True, slots=True, eq=False)
class SelectionAhead:
    """A selection whose options are checked, and that has not begun.

    Attributes:
        job: what will be done, and where.
    """

    job: SelectionJob

    def check(self) -> Prepared:
        """What it would select from; weights and classes are looked at, nothing is computed."""
        detector = self.job.plan.evidence.detector
        # A strategy that needs no detector says nothing of what is wrong with the one named.
        named = isinstance(detector, DetectorSpec) and (detector.weights or detector.classes)
        if self.job.plan.query.needs or named:
            detector.verify()
        return prepare_selection(self.job.plan, engines=self.job.engines)

    def run(self, console: Console) -> Selection:
        """Gather what is missing, and choose."""
        plan = self.job.plan
        with console, self.job.engines.early() as engines:
            prepared = prepare_selection(plan, engines=engines)
            return Selection(run_selection(plan, prepared, engines=engines, watcher=console))

    def run_into(
        self, out: Path, console: Console, *, report: bool = True
    ) -> tuple[Selection, dict[str, Path]]:
        """The same, and write the outputs, in a folder that nobody else writes to meanwhile."""
        with claimed(out) as place:

            def attempt() -> tuple[Selection, dict[str, Path]]:
                chosen, writing = self.run(console), console.writing
                with console:
                    files = write_outputs(
                        chosen.result,
                        place,
                        report=report,
                        engines=self.job.engines,
                        progress=writing,
                    )
                return chosen, files

            return again(attempt)


def ahead(
    videos: PathLike | None,
    *,
    budget: str,
    strategy: str,
    out: PathLike | None = None,
    **options: Unpack[SelectOptions],
) -> SelectionAhead:
    """Everything that can be refused by the options alone; the arguments are ``select``'s.

    ``out`` is where the result will go; nothing is written there yet.
    """
    given: dict[str, Any] = dict(options)
    for name in given:
        if name not in SelectOptions.__annotations__:
            raise UnknownName("option", name, sorted(SelectOptions.__annotations__))
    _check_kinds(given)
    given["image_rate"] = str(given.get("image_rate", "10"))
    folder = Path() if out is None else kinds.path_of("out", out)
    given["cache"] = given.get("cache") or folder / ".vidal"
    job = plan_selection(
        SelectionRequest(
            videos=None if videos is None else kinds.path_of("videos", videos),
            out=folder,
            budget=budget,
            strategy=kinds.text("strategy", strategy),
            **given,
        )
    )
    return SelectionAhead(job)


def _check_kinds(given: dict[str, Any]) -> None:
    """Options of the kinds that they are of, in place; others are refused by name."""
    for name, kind in _KINDS.items():
        if name in given and (given[name] is not None or name not in _MAY_BE_NONE):
            given[name] = kind(name, given[name])
    if not isinstance(given.get("classes"), str | None):
        names = kinds.texts("classes", given["classes"])
        if not names:
            raise UsageError("classes: none are named.", hint="Leave it out to keep them all.")
        given["classes"] = ",".join(names)


def select(
    videos: PathLike | None = None,
    *,
    budget: str | int = "2%",
    strategy: str = "expected-errors",
    out: PathLike | None = None,
    report: bool = True,
    progress: bool = True,
    **options: Unpack[SelectOptions],
) -> Selection:
    """Choose the frames that are most worth annotating.

    >>> chosen = vidal.select("clips/", budget=3, detector="scenes-tiny", progress=False)
    >>> len(chosen.frames)
    3
    >>> files = chosen.save("selection")
    >>> sorted(files)
    ['frames', 'preannotations.coco.json', 'query.csv', 'query.json', 'report.html']

    Args:
        videos: a clip, or a folder of clips; None where ``detections`` describe the clips.
        budget: ``"2%"`` of all readable frames (rounded down, at least one), a number of frames,
            boxes (``"800boxes"``) or a time (``"6h"``, ``"90min"``); see docs/cost.md.
        strategy: a query strategy, as ``vidal strategies`` lists them.
        out: a folder to write the result to as well; see ``Selection.save``.
        report: write ``report.html`` there, too.
        progress: show how far it is, on stderr or in the notebook.
        options: see ``vidal.api.options.SelectOptions``: detector, weights, classes, labels, seed,
            detections, ... by the names that the command line has, too.

    Returns:
        The frames with scores and reasons. Same input, same seed: same frames.

    Raises:
        UsageError: (BudgetError, UnknownName, ...) a value that cannot be meant.
        InputError: (NoClips, FormatError, WeightsError, ...) files that cannot be used.
        OutputError: ``out`` or ``cache`` cannot be written.
    """
    coming = ahead(videos, budget=str(budget), strategy=strategy, out=out, **options)
    console = Console(quiet=not progress)
    if out is None:
        return again(lambda: coming.run(console))
    return coming.run_into(kinds.path_of("out", out), console, report=report)[0]
