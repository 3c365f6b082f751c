"""``vidal init``: begin a campaign."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vidal.cli.pairs import KEY_VALUE, pairs

_DATA = ("videos", "labels", "test_videos", "test_labels")


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=None,
    help="A YAML file; the other options change what it says.",
)
@click.option("--videos", type=click.Path(path_type=Path), help="A folder of clips.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="What is labelled already: round 0 of the campaign.",
)
@click.option("--format", "format_", default=None, help="Format of --labels. [default: coco-video]")
@click.option("--test-videos", type=click.Path(path_type=Path), help="Clips for evaluation only.")
@click.option("--test-labels", type=click.Path(path_type=Path), help="Their labels, COCO-video.")
@click.option(
    "--test",
    default=None,
    metavar="SHARE|PATTERN",
    help="Clips set aside for evaluation: 0.2, or names such as night-*.",
)
@click.option(
    "--validation", default=None, metavar="SHARE|PATTERN", help="Clips set aside for validation."
)
@click.option("--classes", default=None, metavar="A,B,...", help="The target classes.")
@click.option("--detector", default=None, help="As of `vidal select`. [default: auto]")
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint to start from.")
@click.option("--device", default=None, help="auto, cpu or cuda. [default: auto]")
@click.option("--strategy", default=None, help="Of all rounds but the first.")
@click.option("--tracker", default=None, help="As of `vidal select`. [default: auto]")
@click.option(
    "--tracker-option",
    "tracker_options",
    multiple=True,
    metavar=KEY_VALUE,
    help="Of the tracker: weights=FILE, device=cuda, ...",
)
@click.option("--budget", default=None, help="Of a round. [default: 2%]")
@click.option("--initial", default=None, help="Budget of the first round. [default: 2%]")
@click.option("--rounds", default=None, type=click.IntRange(min=1), help="How many are planned.")
@click.option("--seed", default=None, type=click.IntRange(min=0))
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar=KEY_VALUE,
    help="Any key of the configuration: --set selection.gap=1 --set training.epochs=6.",
)
@click.option(
    "--initial-labels/--no-initial-labels",
    default=None,
    help="Whether labels of training clips are round 0. [default: those of --labels are]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def command(**given: Any) -> None:
    """Begin a campaign in the folder DIR.

    \b
    vidal init work --videos clips/ --classes car,pedestrian
    vidal init work --config configs/scenes.yaml

    Clips are split into training, validation and test by whole clips, once and for all.
    """
    from vidal.assemble.campaign import begin_campaign
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign

    folder: Path = given["folder"]
    config = _config(given)
    initial = given["initial_labels"]
    if initial is None:
        initial = config.data.labels is not None
    begun = begin_campaign(folder, config, initial_labels=initial)
    with open_campaign(folder, lock=False) as campaign:
        state = describe(campaign)
    skipped = [{"path": str(s.path), "reason": s.reason} for s in begun.source.skipped]
    summary = {**state, "new": begun.new, "given": begun.given, "unreadable": skipped}
    if given["as_json"]:
        click.echo(json.dumps(summary, indent=2))
        return
    clips, frames = state["clips"], state["frames"]
    set_aside = ", ".join(f"{clips[name]} for {name}" for name in ("validation", "test"))
    click.echo(
        f"{'began' if begun.new else 'unchanged:'} campaign {state['name']!r} in {folder}:"
        f" {frames['all']:,} frames of {clips['train']} training clips ({set_aside})"
    )
    click.echo(f"  classes         {', '.join(state['classes'])}")
    if begun.given:
        click.echo(f"  labelled        {begun.given} frames from the start")
    for entry in skipped:
        click.echo(f"  skipped {entry['path']}: {entry['reason']}")
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _config(given: dict[str, Any]) -> Any:
    """The file's configuration with the options' changes, or the options' alone."""
    from vidal.campaign.config import load_values, parse_config
    from vidal.errors import UsageError
    from vidal.formats._yaml import parse_yaml

    file: Path | None = given["file"]
    if file is None and given["videos"] is None:
        raise UsageError("neither --config nor --videos is given.", hint="One is needed.")
    values = {} if file is None else load_values(file)
    for key, value in _changes(given).items():
        _put(values, key, value)
    for key, text in pairs("set", given["changes"]).items():
        _put(values, key, parse_yaml(text, f"--set {key}"))
    values.setdefault("name", given["folder"].absolute().name)
    base = Path() if file is None else file.parent
    return parse_config(values, file or "options", base=base)


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> value, of the options that were given."""
    table = {
        "data.format": given["format_"],
        "data.split.test": _share(given["test"]),
        "data.split.validation": _share(given["validation"]),
        "data.classes": _names(given["classes"]),
        "detector.name": given["detector"],
        "detector.weights": _absolute(given["weights"]),
        "detector.device": given["device"],
        "selection.strategy": given["strategy"],
        "selection.tracker": given["tracker"],
        "selection.budget": given["budget"],
        "selection.initial": given["initial"],
        "rounds": given["rounds"],
        "seed": given["seed"],
        **{f"data.{name}": _absolute(given[name]) for name in _DATA},
        **_tracker_options(given["tracker_options"]),
    }
    return {key: value for key, value in table.items() if value is not None}


def _tracker_options(given: Sequence[str]) -> dict[str, str]:
    """Dotted key -> text; a file of weights counts from here, not from the YAML file."""
    from vidal.track.raft import DOWNLOAD

    options = pairs("tracker-option", given)
    if options.get("weights", DOWNLOAD) != DOWNLOAD:
        options["weights"] = str(Path(options["weights"]).absolute())
    return {f"selection.tracker_options.{name}": text for name, text in options.items()}


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    from vidal.errors import UsageError

    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if inner is None:
            inner = values[section] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"{key}: {section} is not a section.")
        values = inner
    values[last] = value


def _share(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return [part.strip() for part in text.split(",")]


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [n.strip() for n in text.split(",") if n.strip()]


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
