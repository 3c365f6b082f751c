"""``vidal select``: the main job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.api.watch import Console
from vidal.assemble import DETECTORS, PROPAGATORS, STRATEGIES
from vidal.cli.coming import coming_of
from vidal.cli.costs import cost_lines, told_budget
from vidal.cli.devices import device_option, precision_option
from vidal.cli.groups import Grouped
from vidal.cli.machine import PLACE, machine_options
from vidal.cli.once import Once
from vidal.cli.pairs import KEY_VALUE, RATES
from vidal.errors import UsageError
from vidal.types.gap import DEFAULT as DEFAULT_GAP
from vidal.types.gap import Gap
from vidal.words import counted, printable

HELP_STRATEGY = f"Query strategy: {', '.join(STRATEGIES)}."


if TYPE_CHECKING:
    from vidal.selection.plan import Prepared, SelectionPlan
    from vidal.selection.result import SelectionResult
    from vidal.types import SkippedClip

HEADINGS = {
    "Input": ("videos", "campaign", "labels", "image_rate"),
    "Budget and strategy": (
        *("budget", "cost", "strategy", "errors", "options", "balance", "class_weights"),
        *("known_only", "gap", "turns", "random_share", "seed"),
        *("threshold", "coherence", "expected"),
    ),
    "Detector": (
        *("detector", "weights", "config", "classes", "precision", "batch"),
        "compile",
    ),
    "Your own detections instead of a detector": (
        *("detections", "detections_images", "detections_frames", "score_transform", "size"),
        "same_detector",
    ),
    "Tracker": ("tracker", "tracker_options", "flow"),
    "Output": ("out", "no_report", "dry_run", "as_json", "quiet"),
    "Machine": ("device", *PLACE, "cache"),
}
"""Of the help: heading -> parameters."""


def _gap(_context: click.Context, _option: click.Parameter, text: str) -> int | str:
    """Checked, and as the record has it."""
    try:
        return Gap.of(text).plain
    except UsageError as error:
        raise UsageError(f"--{error.message}", hint=error.hint) from error


@click.command("select", cls=Grouped, headings=HEADINGS)
@click.option(
    "--videos",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="A clip, or a folder of clips; a folder of numbered images is one clip.",
)
@click.option(
    "--campaign",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="Instead of --videos: select the next round of this campaign, as it is configured; with"
    " --detections by those of your newest model.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("selection"),
    show_default=True,
    help="Where the query, pictures and report go.",
)
@click.option(
    "--budget",
    default="2%",
    show_default=True,
    help="2% of all readable frames (rounded down, at least one), 150 frames, or what annotating"
    " them is expected to cost: 800boxes, 6h or 90min.",
)
@click.option(
    "--cost",
    default=None,
    metavar=RATES,
    help="Rates of annotation: seconds a frame (2s) and a box (7s), and how many boxes an object"
    " of a target class (known=1) or of none (unknown=1) counts for.",
)
@click.option("--strategy", default="expected-errors", show_default=True, help=HELP_STRATEGY)
@click.option(
    "--errors",
    default=None,
    metavar="fp|fn|fp+fn",
    help="Which estimated errors count, for strategies that count errors."
    " [default: fp+fn, or fp for temporal-coherence]",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar=KEY_VALUE,
    help="An option of the strategy; `vidal strategies` lists them.",
)
@click.option(
    "--gap",
    default=DEFAULT_GAP.plain,
    show_default=True,
    callback=_gap,
    metavar="FRAMES|SECONDS",
    help="Least distance of chosen and labelled frames of a clip: in time (0.4s), or frames that"
    " are excluded on either side (12).",
)
@click.option(
    "--turns",
    cls=Once,
    default=None,
    metavar="clips|none|weighted",
    help="clips: the best frame of every clip before the second best of any; none: by score alone;"
    " weighted: long clips have more turns. [default: what suits the strategy]",
)
@click.option(
    "--labels",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="Frames that are labelled already (COCO, CVAT, YOLO, Label Studio): never chosen.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--detector", default="auto", show_default=True, help=f"One of: {', '.join(DETECTORS)}."
)
@click.option(
    "--weights",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="Checkpoint of your own: vidal's, or a torchvision state dict.",
)
@click.option(
    "--config",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="YAML configuration of your own model, for --detector detectron2.",
)
@click.option(
    "--classes",
    default=None,
    metavar="A,B,...",
    help="Class names to keep, or to give to a checkpoint without names.",
)
@click.option(
    "--threshold",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Detections with a higher score count.",
)
@device_option(several=True)
@precision_option()
@click.option(
    "--batch",
    default=0,
    type=click.IntRange(min=0),
    help="Frames the detector sees at once. [default: 4 on CPU, 16 on GPU]",
)
@click.option(
    "--compile",
    is_flag=True,
    help="Compile the network first (torch.compile): a minute or more, then a GPU is faster.",
)
@click.option(
    "--coherence",
    "coherence",
    multiple=True,
    metavar=KEY_VALUE,
    help="Of temporal coherence: window=3, theta=0.5, tie=bottom, solver=auto, ...",
)
@click.option(
    "--flow",
    "flow",
    multiple=True,
    metavar=KEY_VALUE,
    help="Of the optical flow: mode=robust or mode=centre, height=300, ...",
)
@click.option(
    "--expected",
    "expected",
    multiple=True,
    metavar=KEY_VALUE,
    help="Of expected errors: version=1, estimator=trees, forest or logistic, blend=0.5, ...",
)
@click.option(
    "--random-share",
    default=0.0,
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the budget that is drawn at random, such as 0.25. [default: 0]",
)
@click.option(
    "--balance",
    default=None,
    metavar="LAMBDA|auto",
    help="Even out the classes of the labels: what an object too few or too many costs, in the"
    " unit of the strategy's score; auto = found on the pool. [default: off]",
)
@click.option(
    "--class-weights",
    cls=Once,
    default=None,
    metavar="CLASS=N,...",
    help="With --balance: want cyclist=3 times as many labels of a class as of others.",
)
@click.option(
    "--known-only",
    is_flag=True,
    help="What is likely an unknown object (annotated, of none of the classes) counts less, as"
    " learned from --labels; see docs/open_set_video.md.",
)
@click.option(
    "--tracker",
    default="auto",
    show_default=True,
    help=f"What carries boxes to neighbouring frames: auto, kalman, {', '.join(PROPAGATORS)};"
    " auto = flow, or kalman without --videos.",
)
@click.option(
    "--tracker-option",
    "tracker_options",
    multiple=True,
    metavar=KEY_VALUE,
    help="Of the tracker: weights=FILE, device=cuda, ...",
)
@machine_options
@click.option(
    "--image-rate",
    "--rate",
    default="10",
    show_default=True,
    metavar="FPS",
    help="Frames a second of folders of images, and of detections without --videos.",
)
@click.option(
    "--detections",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="Your own detections instead of a detector: a file, a folder with one file a clip, or"
    " a pattern in quotes. COCO results, KITTI or MOT text, supervision, FiftyOne, JSON lines."
    " Without --videos nothing is decoded.",
)
@click.option(
    "--same-detector",
    is_flag=True,
    help="With --campaign: the next round is selected by the detections of the one before; your"
    " detector was not trained in between.",
)
@click.option(
    "--detections-images",
    cls=Once,
    type=click.Path(path_type=Path),
    default=None,
    help="The file with 'images' and 'categories' of COCO results.",
)
@click.option(
    "--detections-frames",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "all", "listed"]),
    help="Which frames were looked at: all, or the listed ones; auto = the listed ones where the"
    " format lists frames, else all.",
)
@click.option(
    "--score-transform",
    default="none",
    show_default=True,
    type=click.Choice(["none", "sigmoid"]),
    help="sigmoid: the given scores are logits.",
)
@click.option(
    "--size",
    default=None,
    metavar="WxH",
    help="Of the frames, for detections without --videos that do not state it.",
)
@click.option("--no-report", is_flag=True, help="Do not write report.html.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; compute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(**given: Any) -> None:
    """Choose the frames that are most worth annotating.

    \b
    vidal select --videos clips/ --budget 2%
    vidal select --videos clips/ --budget 150 --strategy entropy --weights mine.safetensors

    Interrupted runs go on where they were: evidence of finished clips is kept.
    """
    campaign: Path | None = given.pop("campaign")
    if campaign is not None:
        from vidal.cli.select_campaign import new_detections, run

        new = new_detections(click.get_current_context())
        place = {name: given[name] for name in PLACE}
        own = ("no_report", "dry_run", "as_json", "quiet")
        run(campaign, new, place, **{name: given[name] for name in own})
        return
    shown = {name: given.pop(name) for name in ("no_report", "dry_run", "as_json", "quiet")}
    coming = coming_of(given)
    if shown["dry_run"]:
        _print_plan(coming.job.plan, coming.check(), as_json=shown["as_json"])
        return
    console = Console(quiet=shown["quiet"] or shown["as_json"])
    chosen, files = coming.run_into(given["out"], console, report=not shown["no_report"])
    _print_summary(chosen.result, files, as_json=shown["as_json"])


def _skipped_lines(skipped: Sequence[SkippedClip]) -> list[str]:
    return [printable(f"skipped {entry.path}: {entry.reason}") for entry in skipped]


def _print_plan(plan: SelectionPlan, prepared: Prepared, *, as_json: bool) -> None:
    summary = {
        "clips": len(prepared.clips),
        "frames": prepared.base,
        "selectable": prepared.selectable,
        "budget": plan.query.budget.text,
        "budget_base": prepared.base_text,
        "budget_frames": prepared.wanted,
        "cost": plan.query.cost.as_dict(),
        "strategy": plan.query.strategy,
        "needs": sorted(plan.query.selector.needs),
        "skipped": [{"path": str(s.path), "reason": s.reason} for s in prepared.skipped],
        "notes": list(prepared.notes),
        "settings": plan.settings,
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    click.echo(
        f"would choose {told_budget(plan, prepared)}; {prepared.selectable:,} selectable) by"
        f" {plan.query.strategy}"
    )
    for line in [*map(printable, prepared.notes), *_skipped_lines(prepared.skipped)]:
        click.echo(line)


def _print_summary(result: SelectionResult, files: dict[str, Path], *, as_json: bool) -> None:
    summary = {
        "selected": len(result.query),
        "budget": result.budget_text,
        "budget_base": result.budget_base,
        "budget_frames": result.query.budget,
        "cost": result.cost_dict(),
        "strategy": result.strategy,
        "clips": len(result.clips),
        "skipped": [{"path": str(s.path), "reason": s.reason} for s in result.skipped],
        "notes": list(result.notes),
        "files": {name: str(path) for name, path in files.items()},
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    click.echo(
        f"chose {counted(len(result.query), 'frame')} ({result.budget_words}) by {result.strategy}"
    )
    told = [*cost_lines(result), *map(printable, result.notes), *_skipped_lines(result.skipped)]
    for line in told:
        click.echo(f"  {line}")
    width = max(len(name) for name in files)
    for name, path in files.items():
        click.echo(f"  {name:<{width}}  {printable(path)}")
