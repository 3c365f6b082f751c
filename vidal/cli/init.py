"""``vidal init``: begin a campaign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.cli.devices import device_option
from vidal.cli.groups import HEADINGS, Grouped
from vidal.cli.once import Once
from vidal.cli.pairs import KEY_VALUE, RATES, pairs
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.campaign.config import CampaignConfig


@click.command("init", cls=Grouped, headings=HEADINGS["init"])
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=None,
    help="A YAML file; the other options change what it says.",
)
@click.option("--videos", cls=Once, type=click.Path(path_type=Path), help="A folder of clips.")
@click.option(
    "--labels",
    cls=Once,
    type=click.Path(path_type=Path),
    help="What is labelled already: round 0 of the campaign.",
)
@click.option(
    "--format", "format_", default=None, help="Format of --labels. [default: as the file says]"
)
@click.option(
    "--test-videos", cls=Once, type=click.Path(path_type=Path), help="Clips for evaluation only."
)
@click.option("--test-labels", cls=Once, type=click.Path(path_type=Path), help="Their labels.")
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
@click.option(
    "--detections",
    cls=Once,
    type=click.Path(path_type=Path),
    help="A campaign about your own detector: what it finds in these clips, as of `vidal select`."
    " You train it; every round is given its new detections.",
)
@click.option(
    "--detections-images",
    cls=Once,
    type=click.Path(path_type=Path),
    help="The file with 'images' and 'categories' of COCO results.",
)
@click.option(
    "--detections-frames",
    default=None,
    type=click.Choice(["auto", "all", "listed"]),
    help="Which frames were looked at. [default: auto]",
)
@click.option(
    "--score-transform",
    default=None,
    type=click.Choice(["none", "sigmoid"]),
    help="sigmoid: the given scores are logits. [default: none]",
)
@click.option("--detector", default=None, help="As of `vidal select`. [default: auto]")
@click.option(
    "--weights", cls=Once, type=click.Path(path_type=Path), help="Checkpoint to start from."
)
@click.option(
    "--backbone",
    cls=Once,
    type=click.Path(path_type=Path),
    help="Of `vidal pretrain`: the first training begins with it.",
)
@device_option(several=True, default=None, note=" [default: auto]")
@click.option("--strategy", default=None, help="Of all rounds but the first.")
@click.option("--tracker", default=None, help="As of `vidal select`. [default: auto]")
@click.option(
    "--tracker-option",
    "tracker_options",
    multiple=True,
    metavar=KEY_VALUE,
    help="Of the tracker: weights=FILE, device=cuda, ...",
)
@click.option(
    "--budget",
    default=None,
    help="Of a round: 2%, 150 frames, 800boxes, 6h or 90min. [default: 2%]",
)
@click.option("--initial", default=None, help="Budget of the first round. [default: 2%]")
@click.option("--cost", default=None, metavar=RATES, help="As of `vidal select`.")
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
    vidal init work --videos clips/ --classes car,pedestrian --detections detections/
    vidal init work --config configs/scenes.yaml

    Clips are split into training, validation and test by whole clips, once and for all. Clips of a
    project that is moved as a whole are found again; for others see `vidal relink`.
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
    summary["notes"] = [*begun.source.notes, *begun.notes]
    if given["as_json"]:
        click.echo(json.dumps(summary, indent=2))
        return
    clips, frames = state["clips"], state["frames"]
    set_aside = ", ".join(f"{clips[name]} for {name}" for name in ("validation", "test"))
    click.echo(
        f"{'began' if begun.new else 'unchanged:'} campaign {state['name']!r} in {folder}:"
        f" {counted(frames['all'], 'frame')} of {counted(clips['train'], 'training clip')}"
        f" ({set_aside})"
    )
    click.echo(f"  classes         {', '.join(state['classes'])}")
    if begun.given:
        click.echo(f"  labelled        {counted(begun.given, 'frame')} from the start")
    for note in (*begun.source.notes, *begun.notes):
        click.echo(f"  {printable(note)}")
    for entry in skipped:
        click.echo(printable(f"  skipped {entry['path']}: {entry['reason']}"))
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _config(given: dict[str, Any]) -> CampaignConfig:
    """The file's configuration with the options' changes, or the options' alone."""
    from vidal.assemble.config import KEYS, campaign_config
    from vidal.formats._yaml import parse_yaml

    options = {name: given.get(name) for name in KEYS}
    options["format"] = given["format_"]
    options["tracker_options"] = pairs("tracker-option", given["tracker_options"]) or None
    texts = pairs("set", given["changes"])
    changes = {key: parse_yaml(text, f"--set {key}") for key, text in texts.items()}
    return campaign_config(given["folder"], given["file"], options, changes)
