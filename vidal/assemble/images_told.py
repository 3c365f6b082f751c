"""What a simulation on image pools says when it has run: rows, facts and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vidal.assemble import ORACLES
from vidal.assemble.machine import machine
from vidal.evaluate.curves import Row
from vidal.evaluate.terms import IMAGES
from vidal.images.pretraining import spread_of
from vidal.images.runs import (
    INITIAL,
    check_begun,
    finished,
    row_of,
    rows_of,
    seconds_of,
    variant_of,
)
from vidal.images.stored import stored_images
from vidal.images.task import UNKNOWN, make_task
from vidal.pretrain.simsiam import COLLAPSED
from vidal.selection.notes import versions
from vidal.simulation.results import SimulationResult
from vidal.words import counted

if TYPE_CHECKING:
    from vidal.assemble.images import ImagesPlan

BASELINE = "random"
"""Runs in every simulation; what strategies are compared with."""

LABEL_ONLY = "label-only"
"""A line of every table with unknown classes: the first model, which never asks (PAL, Table 1)."""


def result_of(plan: ImagesPlan) -> SimulationResult:
    """The result of what is finished."""
    config = plan.config
    rows: list[Row] = []
    seconds, unfinished = 0.0, 0
    for job in [*(plan.job(INITIAL, seed) for seed in plan.seeds), *plan.jobs()]:
        check_begun(job)
        seconds += seconds_of(job)
        if job.name != INITIAL:
            if finished(job):
                rows += rows_of(job)
            else:
                unfinished += 1
    facts, shares = _facts(plan)
    if UNKNOWN in shares:
        rows += _label_only(plan, rows)
    named = config.simulation.main
    return SimulationResult(
        name=config.name,
        rows=tuple(rows),
        strategies=(*plan.strategies, *([LABEL_ONLY] if UNKNOWN in shares else [])),
        seeds=plan.seeds,
        rounds=plan.rounds,
        baseline=BASELINE,
        data=facts,
        settings=_settings(plan),
        versions=versions(),
        machine=machine(),
        seconds=seconds,
        notes=_notes(plan, unfinished, opened=UNKNOWN in shares),
        main=None if named is None else (named.strategy, named.round),
        pool_conditions=shares,
        terms=IMAGES,
    )


def _label_only(plan: ImagesPlan, rows: Sequence[Row]) -> list[Row]:
    """The first model of every seed, once for each round that the baseline has finished.

    Its rows stand at the labels that the baseline has by then, so that it is a flat line.
    """
    found = []
    for base in rows:
        first = row_of(plan.job(INITIAL, base.seed), 0) if base.strategy == BASELINE else None
        if first is not None:
            at = {"round": base.round, "labelled": base.labelled, "strategy": LABEL_ONLY}
            found.append(replace(first, **at))  # type: ignore[arg-type]
    return found


def _settings(plan: ImagesPlan) -> dict[str, Any]:
    """The configuration; of the variants those that ran, of the data the name alone."""
    plain = plan.config.model_dump(mode="json", exclude={"name", "rounds", "seed", "workers"})
    plain["data"]["path"] = plan.config.data.path.name
    variants = plain["simulation"]["variants"]
    plain["simulation"]["variants"] = {n: v for n, v in variants.items() if n in plan.strategies}
    plain["simulation"]["strategies"] = list(plan.strategies)
    return plain


def _facts(plan: ImagesPlan) -> tuple[dict[str, Any], Mapping[str, float]]:
    """About the images, means over the seeds; and the share of each group of classes."""
    data = stored_images(plan.out / "data")
    numbers: list[dict[str, float]] = []
    shares: list[dict[str, float]] = []
    rare: list[str] = []
    for seed in plan.seeds:
        task = make_task(data, plan.config, seed)
        waiting = len(task.train) - len(task.initial)
        numbers.append(
            {
                "images in the pool": waiting,
                "images labelled from the start": len(task.initial),
                "test images": len(task.test),
            }
        )
        held = task.train.labels
        started = held[task.initial]
        shares.append(
            {
                name: (sum((held == c).sum() - (started == c).sum() for c in members)) / waiting
                for name, members in task.groups.items()
            }
        )
        rare.append(", ".join(task.classes[c] for c in task.rare))
    mean = {name: sum(each[name] for each in numbers) / len(numbers) for name in numbers[0]}
    facts: dict[str, Any] = {n: round(v) if v == int(v) else round(v, 1) for n, v in mean.items()}
    facts["classes"] = ", ".join(data.classes)
    if any(rare):
        same = set(rare)
        facts["rare classes"] = (
            rare[0] if len(same) == 1 else "drawn for each seed: " + "; ".join(rare)
        )
    return facts, {n: float(sum(each[n] for each in shares) / len(shares)) for n in shares[0]}


def _notes(plan: ImagesPlan, unfinished: int, *, opened: bool) -> tuple[str, ...]:
    notes = []
    if opened:
        notes.append(
            f"{LABEL_ONLY} is the first model, which never asks: a flat line, drawn at the labels"
            " that random has by then."
        )
    own = [n for n in plan.strategies if variant_of(plan.config, n).judge == "own"]
    if own:
        notes.append(
            f"{', '.join(own)}: the method's own classifier is judged, so that it differs from the"
            " others by more than the images that people were asked for."
        )
    if unfinished:
        runs = "1 run is" if unfinished == 1 else f"{unfinished} runs are"
        notes.append(f"{runs} not finished and left out: run the same command again to go on.")
    skipped = stored_images(plan.out / "data").skipped
    if skipped:
        files = counted(len(skipped), "file was", "files were")
        more = "" if len(skipped) <= 3 else f"; and {len(skipped) - 3} more"
        notes.append(f"{files} left out: {'; '.join(skipped[:3])}{more}.")
    if any(name in ORACLES for name in plan.strategies):
        notes.append(
            "The oracle sees the labels of the pool. It shows what knowing the true errors would"
            " gain; nobody can use it on data without labels."
        )
    if plan.config.pretrain is not None:
        notes.append(_pretrained(plan))
    semi = [n for n in plan.strategies if variant_of(plan.config, n).semi is not None]
    if semi:
        notes.append(
            f"{', '.join(semi)}: the judged models are also trained on pseudo-labels, so that they"
            " differ from the others by more than the images that people were asked for."
        )
    return tuple(notes)


def _pretrained(plan: ImagesPlan) -> str:
    """How the pre-training of the seeds went."""
    bodies = [plan.job(INITIAL, seed).body for seed in plan.seeds]
    spreads = [spread_of(path) for path in bodies if path.exists()]
    lost = sum(each < COLLAPSED for each in spreads)
    words = ", ".join(f"{each:.2f}" for each in spreads)
    sentence = (
        "All networks begin with what SimSiam learned from the images of the pool, labels unseen;"
        f" std of z over its healthy value, seed by seed: {words or 'not known yet'}."
    )
    return f"{sentence} It collapsed in {counted(lost, 'seed')}." if lost else sentence
