"""``vidal evaluate``: how good a model is on clips it has not seen."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.api.watch import Console
from vidal.cli.devices import device_option, precision_option
from vidal.cli.groups import HEADINGS, Grouped
from vidal.cli.once import Once
from vidal.words import counted

if TYPE_CHECKING:
    from vidal.assemble.evaluation import Evaluation
    from vidal.selection.forecast import Forecast


@click.command("evaluate", cls=Grouped, headings=HEADINGS["evaluate"])
@click.argument(
    "campaign", required=False, default=None, metavar="[DIR]", type=click.Path(path_type=Path)
)
@click.option(
    "--split",
    default=None,
    type=click.Choice(["test", "validation"]),
    help="Of campaign DIR. [default: test]",
)
@click.option(
    "--round", "number", default=None, type=int, help="Model of this round. [default: the newest]"
)
@click.option(
    "--detections",
    cls=Once,
    default=None,
    type=click.Path(path_type=Path),
    help="Of a campaign about your own detector: judge these, which no round was selected by.",
)
@click.option("--no-queries", is_flag=True, help="Do not judge what the campaign picked.")
@click.option(
    "--videos", cls=Once, default=None, type=click.Path(path_type=Path), help="Labelled clips."
)
@click.option(
    "--labels", cls=Once, default=None, type=click.Path(path_type=Path), help="Their labels."
)
@click.option("--format", "data_format", default="coco-video", show_default=True)
@click.option("--detector", default="auto", show_default=True)
@click.option(
    "--weights", cls=Once, default=None, type=click.Path(path_type=Path), help="A checkpoint."
)
@click.option("--classes", default=None, metavar="A,B,...", help="Class names to keep.")
@device_option(several=True)
@precision_option()
@click.option(
    "--score-floor",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Detections with a score up to this do not count in AP50.",
)
@click.option("--iou", default=0.5, show_default=True, type=click.FloatRange(0, 1))
@click.option("--image-rate", default="10", show_default=True, metavar="FPS")
@click.option(
    "--cache",
    cls=Once,
    default=None,
    type=click.Path(path_type=Path),
    help="Where detections are kept between runs. [default: not kept]",
)
@click.option("--workers", default=0, type=click.IntRange(min=0))
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def command(context: click.Context, /, **given: Any) -> None:
    """Average precision of a campaign's model, or of any detector, on clips with labels.

    \b
    vidal evaluate CAMPAIGN
    vidal evaluate --videos clips/ --labels labels.coco.json --weights mine.safetensors

    Clips that the model was trained on are refused. AP50 counts detections with a score above the
    floor; AP50@0.5 those with a score above 0.5 only: never compare one with the other.
    """
    _check(context, given)
    if given["campaign"] is not None:
        evaluation = _campaign(given)
    else:
        with Console(quiet=given["quiet"] or given["as_json"]) as console:
            evaluation = _videos(given, console)
    if given["as_json"]:
        from vidal.report.query_files import plain

        click.echo(json.dumps(plain(evaluation.as_dict()), indent=2, allow_nan=False))
        return
    for line in table(evaluation):
        click.echo(line)


def _check(context: click.Context, given: dict[str, Any]) -> None:
    """Either a campaign, or clips with labels; options of the one do not go with the other."""
    from vidal.errors import UsageError

    if given["campaign"] is None and (given["videos"] is None or given["labels"] is None):
        raise UsageError(
            "nothing to evaluate.", hint="Name a campaign, or give --videos and --labels."
        )
    own = {"split", "number", "no_queries", "detections"}
    common = {"campaign", "as_json", "quiet"}
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if source is not click.core.ParameterSource.COMMANDLINE or name in common:
            continue
        if (name in own) is (given["campaign"] is None):
            where = "needs a campaign" if name in own else "is settled by the campaign"
            raise UsageError(f"{option.opts[0]} {where}.")


def _campaign(given: dict[str, Any]) -> Evaluation:
    from vidal.assemble.evaluation import evaluate_campaign
    from vidal.assemble.own import NewDetections
    from vidal.campaign.heartbeat import beating
    from vidal.cli.opened import open_campaign

    with open_campaign(given["campaign"]) as campaign, ExitStack() as stack:
        beat = stack.enter_context(beating(given["campaign"], "evaluate", given["number"]))
        quiet = given["quiet"] or given["as_json"]
        console = stack.enter_context(Console(quiet=quiet, beat=beat))
        return evaluate_campaign(
            campaign,
            split=given["split"] or "test",
            number=given["number"],
            queries=not given["no_queries"],
            new=NewDetections(given["detections"]),
            watcher=console,
        )


def _videos(given: dict[str, Any], console: Console) -> Evaluation:
    from vidal.assemble.evaluation import evaluate_videos

    names = given["classes"]
    arguments = {
        name: given[name]
        for name in (
            *("videos", "labels", "data_format", "detector", "weights", "device", "precision"),
            *("workers", "image_rate", "score_floor", "iou"),
        )
    }
    arguments["classes"] = None if names is None else tuple(n.strip() for n in names.split(","))
    if given["cache"] is not None:
        return evaluate_videos(**arguments, cache=given["cache"], watcher=console)
    with tempfile.TemporaryDirectory(prefix="vidal-") as folder:
        return evaluate_videos(**arguments, cache=Path(folder), watcher=console)


def table(evaluation: Evaluation) -> list[str]:
    """The results as lines of text."""
    from vidal.campaign.costs import cost_lines

    quality, report = evaluation.quality, evaluation.quality.report
    width = max(len(name) for name in (*report.classes, "all classes"))
    lines = [
        f"{evaluation.model} on {evaluation.clips}",
        f"{'class':<{width}}  {'AP50':>6}  {'AP50@0.5':>8}  {'objects':>8}",
    ]
    for k, name in enumerate(report.classes):
        half = _number(report.ap50_confident[k])
        lines.append(
            f"{name:<{width}}  {_number(report.ap50[k]):>6}  {half:>8}  {report.objects[k]:>8,}"
        )
    whole, half = _number(report.map50), _number(report.map50_confident)
    lines.append(f"{'all classes':<{width}}  {whole:>6}  {half:>8}  {report.objects.sum():>8,}")
    if quality.coco is not None:
        coco = ", ".join(f"{n} {_number(quality.coco[n])}" for n in ("AP", "AP50", "AP75"))
        lines.append(f"COCO: {coco}")
    lines += [f"skipped {each.path}: {each.reason}" for each in quality.skipped]
    lines += _curve_lines(evaluation)
    lines += _query_lines(evaluation)
    for told in evaluation.forecasts:
        lines += [told.sentence, *_reliability_lines(told)]
    lines += cost_lines(evaluation.cost, evaluation.costs)
    return [*lines, *evaluation.notes]


def _curve_lines(evaluation: Evaluation) -> list[str]:
    """How good one's own detector was after each training."""
    lines = []
    for each in evaluation.curve:
        when = "before any training" if each.round is None else f"trained on round {each.round}"
        lines.append(
            f"{when}: AP50 {_number(each.map50)}, AP50@0.5 {_number(each.map50_confident)} on"
            f" {counted(each.frames, 'frame')}: {each.model}"
        )
    return lines


def _query_lines(evaluation: Evaluation) -> list[str]:
    """One line a query of the campaign."""
    lines = []
    for number, strategy, picks in evaluation.queries:
        parts = [f"round {number} ({strategy}): {counted(picks.frames, 'frame')}"]
        if picks.false_positives is not None:
            false = counted(picks.false_positives, "false alarm")
            missed = counted(picks.misses or 0, "miss", "misses")
            parts.append(f"{false} and {missed} in {'it' if picks.frames == 1 else 'them'}")
        if picks.fp_precision is not None:
            parts.append(
                f"estimated false alarms: precision {_number(picks.fp_precision)},"
                f" recall {_number(picks.fp_recall)}"
            )
        if picks.redundancy is not None:
            parts.append(f"{counted(round(picks.redundancy), 'frame')} to the nearest other pick")
        if picks.balance is not None:
            parts.append(f"class balance {picks.balance:.2f}")
        lines.append("; ".join(parts))
    return lines


def _reliability_lines(told: Forecast) -> list[str]:
    """Brier scores, and the reliability curves as rows."""
    lines = []
    for name, kind in (("false alarms", told.false_positives), ("misses", told.misses)):
        if not kind.rows:
            continue
        curve = ", ".join(f"{b.said:.2f} -> {b.found:.2f} ({b.rows})" for b in kind.bins)
        lines.append(
            f"  {name}: Brier {kind.brier:.3f} ({kind.base:.3f} by their share alone);"
            f" said -> found (rows): {curve}"
        )
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
