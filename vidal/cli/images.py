"""``vidal images``: the strategies on pools of single pictures, for classification."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidal.api.watch import Bars
from vidal.cli.devices import device_option
from vidal.cli.groups import HEADINGS, Grouped


@click.group("images")
def command() -> None:
    """Compare query strategies on image classification, or choose pictures to label.

    \b
    vidal images simulate configs/images-mnist.yaml --data mnist.npz
    vidal images select --pool unlabelled/ --labelled labelled/ --budget 100 --strategy badge
    """


@command.command("simulate", cls=Grouped, headings=HEADINGS["images simulate"])
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    help="A folder of classes or an npz file, instead of the configured one.",
)
@click.option(
    "--imbalance",
    type=float,
    default=None,
    help="Share of its images that each rare class keeps. [default: the configured one]",
)
@click.option(
    "--openness",
    type=float,
    default=None,
    help="Share of the classes that is unknown. [default: as configured]",
)
@click.option(
    "--noise",
    type=float,
    default=None,
    help="Share of the pool that is of unknown classes. [default: as configured]",
)
@click.option(
    "--strategies",
    default=None,
    metavar="A,B,...",
    help="Query strategies to compare, also oracle-errors and the configuration's variants; random"
    " always runs. [default: simulation.strategies]",
)
@click.option(
    "--seeds",
    default=None,
    type=click.IntRange(min=1),
    help="Runs of every strategy; six or more for conclusions. [default: simulation.seeds]",
)
@click.option(
    "--rounds",
    default=None,
    type=click.IntRange(min=1),
    help="Trained rounds, the initial one included. [default: the configured number]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Where runs and results go. [default: simulation-NAME]",
)
@click.option(
    "--workers",
    default=0,
    type=click.IntRange(min=0),
    help="Runs at once, of one thread each. [default: one a core on CPU, one on GPU]",
)
@click.option("--no-all-data", is_flag=True, help="Do not train on all images of the pool.")
@click.option("--report-only", is_flag=True, help="Run nothing; report the runs that are finished.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def simulate(
    config: Path,
    data: Path | None,
    imbalance: float | None,
    openness: float | None,
    noise: float | None,
    strategies: str | None,
    seeds: int | None,
    rounds: int | None,
    out: Path | None,
    workers: int,
    no_all_data: bool,
    report_only: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare query strategies on a labelled image set: learning curves over seeds.

    \b
    vidal images simulate configs/images-mnist.yaml --data mnist.npz --strategies badge,kcenter

    Strategies of one seed share the initial set, the first model, initial weights and the order of
    training. Interrupted runs go on where they were; strategies, seeds and rounds may be added.
    """
    from vidal.api import image_pools
    from vidal.assemble.images import simulate_images, told_images
    from vidal.campaign.heartbeat import beating
    from vidal.cli.simulate import table

    names = None if strategies is None else strategies.split(",")
    plan = image_pools.plan_of(
        config,
        data=data,
        imbalance=imbalance,
        openness=openness,
        noise=noise,
        strategies=None if names is None else [name.strip() for name in names if name.strip()],
        seeds=seeds,
        rounds=rounds,
        out=out,
        workers=workers,
        all_data=not no_all_data,
    )
    with (
        image_pools.claimed(plan),
        beating(plan.out, "images simulate") as beat,
        Bars(quiet=quiet or as_json, beat=beat) as bars,
    ):
        result = told_images(plan) if report_only else simulate_images(plan, bars)
        files = image_pools.write(result, out or Path(plan.out.name))
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=1, allow_nan=False))
        return
    for line in table(result):
        click.echo(line)
    for name, path in files.items():
        click.echo(f"  {name:<8} {path}")


@command.command("select", cls=Grouped, headings=HEADINGS["images select"])
@click.option(
    "--pool",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the pictures to choose from, with all folders below it.",
)
@click.option(
    "--labelled",
    required=True,
    type=click.Path(path_type=Path),
    help="What is labelled: a folder with one folder a class, or a csv with the columns file and"
    " label.",
)
@click.option(
    "--unknown",
    default="",
    metavar="A,B,...",
    help="Labels that stand for none of the wanted classes, for strategies of docs/open_set.md.",
)
@click.option("--budget", default="100", show_default=True, help="100 pictures, or 2% of the pool.")
@click.option("--strategy", default="margin", show_default=True, help="Of `vidal strategies`.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the strategy; `vidal strategies` lists them.",
)
@click.option(
    "--balance",
    default=None,
    metavar="LAMBDA|auto",
    help="Weight of class balance; see docs/class_balance.md. [default: none]",
)
@click.option(
    "--known-only",
    is_flag=True,
    help="What is likely of an unknown class counts less, as learned from --unknown; see"
    " docs/open_set.md.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=None,
    help="A model.safetensors of an earlier run, instead of training one.",
)
@click.option(
    "--recipe",
    default=None,
    help="How the classifier is trained: small, small-colour, thesis or lfo. [default: small or"
    " small-colour, by the pictures]",
)
@click.option(
    "--size",
    type=click.IntRange(min=8, max=512),
    default=None,
    help="Pixels a side that pictures are scaled to. [default: they have one size]",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@device_option(several=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("image-selection"),
    show_default=True,
    help="Where the query, the model and the report go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the query as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def select(
    pool: Path,
    labelled: Path,
    unknown: str,
    budget: str,
    strategy: str,
    options: tuple[str, ...],
    balance: str | None,
    known_only: bool,
    model: Path | None,
    recipe: str | None,
    size: int | None,
    seed: int,
    device: str,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Choose pictures of a folder to label next, by a classifier of what is labelled so far.

    \b
    vidal images select --pool unlabelled/ --labelled labelled/ --budget 100 --strategy badge

    Fill in the column label of query.csv, and give that file to --labelled the next time.
    """
    from vidal.api import image_pools
    from vidal.cli.pairs import pairs
    from vidal.words import printable

    plan = image_pools.choice_of(
        pool=pool,
        labelled=labelled,
        unknown=[name.strip() for name in unknown.split(",") if name.strip()],
        budget=budget,
        strategy=strategy,
        options=pairs("options", options),
        balance=balance,
        known_only=known_only,
        model=model,
        recipe=recipe,
        size=size,
        seed=seed,
        device=device,
    )

    def tell(words: str) -> None:
        if not (quiet or as_json):
            click.echo(f"{words} ...", err=True)

    choice, files, content = image_pools.choose(plan, out, tell)
    if as_json:
        click.echo(json.dumps(content, indent=1, allow_nan=False))
        return
    for row in content["pictures"][:10]:
        click.echo(f"{row['rank']:>4}  {printable(row['file'])}  {printable(row['reason'])}")
    if len(content["pictures"]) > 10:
        click.echo(f"      and {len(content['pictures']) - 10} more")
    for line in content["notes"]:
        click.echo(f"  {printable(line)}")
    for line in choice.skipped:
        click.echo(f"  without {printable(line)}")
    for name, path in files.items():
        click.echo(f"  {name:<18} {printable(path)}")
