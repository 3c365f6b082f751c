"""What the answers of earlier rounds teach about the detector's errors.

Frames are judged by a detector that had not seen their labels: those of a query by the model that
chose them. This is the self-validation set of Park et al., "Meta-Query-Net: Resolving
Purity-Informativeness Dilemma in Open-set Active Learning", NeurIPS 2022. Labels that no such
detector exists for (a network that began with random weights has no model before its first
training) are cross-fitted: judged by detectors that were trained on the other clips' labels.

What was judged is kept in the evidence store under the content of everything it depends on, so it
outlives the evidence, and a deleted store costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vidal.campaign.accuracy import TRAINED_ON
from vidal.campaign.fitting import Fitting, fit_model, labels_digest
from vidal.campaign.folder import Campaign
from vidal.campaign.oracle import by_clip, known, only
from vidal.campaign.own import detections_of, is_own
from vidal.campaign.own_tables import stock_campaign
from vidal.campaign.record import GIVEN, Round
from vidal.campaign.training import detector_spec
from vidal.detect.spec import DetectorSpec
from vidal.errors import InputError
from vidal.evidence.gather import EvidenceJob, EvidenceKeys, EvidencePlan, load_evidence
from vidal.evidence.gathered import gather_jobs
from vidal.evidence.load import has_all
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.watch import Watcher
from vidal.expected_errors import Evidence, Judged
from vidal.selection.draws import CROSS, START, step_rng
from vidal.selection.expected import JudgedRound, Judging, judge_stored
from vidal.selection.learn import pool_evidence
from vidal.store import content_key, from_arrays, to_arrays
from vidal.types import Annotations, BoolArray, Clip, FrameRef, SkippedClip, Stored

VERSION = 2
"""Raised whenever the same labels and evidence would be judged in another way."""
FOLDS = 2
"""Detectors of a cross-fitting: each costs a training and sees all clips but one fold's."""
DRAWN = ("random", "random-r", "every-nth")
"""Strategies whose frames are a random sample of the pool, as far as errors go."""


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """Everything that judging needs, whatever the round."""

    campaign: Campaign
    plan: EvidencePlan
    clips: Mapping[str, Clip]
    engines: EngineMaker
    watcher: Watcher
    lost: list[int] | None = None


def judge_rounds(
    campaign: Campaign,
    plan: EvidencePlan,
    clips: Mapping[str, Clip],
    *,
    before: int,
    engines: EngineMaker,
    watcher: Watcher,
    cross_fit: bool = True,
    lost: list[int] | None = None,
) -> list[JudgedRound]:
    """The answers of all rounds with a lower number, judged.

    Args:
        campaign: its record and models are read.
        plan: how evidence is gathered; its detector is replaced.
        clips: the training clips by id.
        before: number of the round that will be selected by what is learned.
        engines, watcher: where evidence that is not there any more is computed, and who is told.
        cross_fit: whether detectors are trained to judge labels that every model has seen; else
            those teach nothing.
        lost: is given the numbers of rounds that teach nothing because the detections that they
            were selected by are gone: from the evidence, and where their files lay.
    """
    if plan.expected is None:
        return []
    bench = _Bench(campaign, plan, clips, engines, watcher, lost)
    found = []
    for entry in campaign.record.rounds():
        if entry.number >= before or entry.state not in ("answered", "trained"):
            continue
        tables = _labels(campaign, clips, entry)
        judged = _unseen(bench, entry, tables, cross_fit) if tables else None
        if judged is not None:
            found.append(judged)
    return found


def _labels(campaign: Campaign, clips: Mapping[str, Clip], entry: Round) -> dict[str, Annotations]:
    """Clip id -> labels of the frames of one round, where there are some."""
    tables = {}
    for name, indices in by_clip(campaign.record.queried_in(entry.number)).items():
        table = only(campaign.record.annotations(name, clips[name].frames), indices)
        if table.labelled.any():
            tables[name] = table
    return tables


def _unseen(
    bench: _Bench, entry: Round, tables: Mapping[str, Annotations], cross_fit: bool
) -> JudgedRound | None:
    """A round judged by a detector that had not seen it, or cross-fitted; None = by neither."""
    config = bench.campaign.config
    if is_own(bench.campaign):
        return _own(bench, entry, tables)
    model = bench.campaign.newest_model(before=entry.number)
    if model is not None:
        spec = detector_spec(config, model=model)
        return _judge(bench, entry, [(spec, tables)], "unseen", partial(_pool_then, bench, spec))
    if config.detector.start == "weights":
        spec = detector_spec(config)
        detector = spec.load()
        if _knows(detector.classes, bench.campaign.record.classes):
            spec = _with_classes(spec, detector.classes, bench.plan.detector.load().classes)
            told = TRAINED_ON in detector.notes
            seen = set(detector.notes.get(TRAINED_ON, ()))
            left = {name: table for name, table in tables.items() if name not in seen}
            sure = told or spec.weights is None or entry.strategy != GIVEN
            how: Judging = "unseen" if sure else "perhaps seen"
            return _judge(bench, entry, [(spec, left)], how, partial(_pool_then, bench, spec))
    if len(tables) < FOLDS or not cross_fit:
        return None
    return _judge(bench, entry, list(_cross_fitted(bench, entry, tables)), "cross-fitted")


def _own(bench: _Bench, entry: Round, tables: Mapping[str, Annotations]) -> JudgedRound | None:
    """A round judged by the detections that it was selected by; None where they are gone.

    Their model had not seen the frames: it was there before they were asked for. Of labels from
    before the campaign that is not known.
    """
    given = detections_of(bench.campaign, entry.number)
    try:
        made = stock_campaign(bench.campaign, given, bench.engines)
    except InputError:
        if bench.lost is not None:
            bench.lost.append(entry.number)
        return None
    there = {name: table for name, table in tables.items() if name in set(made.clips)}
    how: Judging = "perhaps seen" if entry.strategy == GIVEN else "unseen"
    known = {name: clip for name, clip in bench.clips.items() if name in set(made.clips)}
    pool = partial(_pool_then, replace(bench, clips=known), given)
    return _judge(bench, entry, [(given, there)], how, pool)


def _knows(found: Sequence[str], classes: Sequence[str]) -> bool:
    """Whether a detector finds all the classes: else what it misses says nothing of its heir."""
    mine = {name.casefold() for name in found}
    return all(name.casefold() in mine for name in classes)


def _with_classes(spec: DetectorSpec, found: Sequence[str], asked: Sequence[str]) -> DetectorSpec:
    """The detector with the classes of the one that is asked now, in its order.

    Rows are numbered by classes: one that finds others, or counts them otherwise, would teach about
    the wrong ones.
    """
    mine = {name.casefold(): name for name in found}
    names = tuple(mine[name.casefold()] for name in asked if name.casefold() in mine)
    same = names == tuple(found) or len(names) < len(asked)
    return spec if same else replace(spec, classes=names)


def _cross_fitted(
    bench: _Bench, entry: Round, tables: Mapping[str, Annotations]
) -> Iterable[tuple[DetectorSpec, dict[str, Annotations]]]:
    """Every fold's detector, trained on the other folds, with the labels it has to judge."""
    campaign, config = bench.campaign, bench.campaign.config
    order = step_rng(config.seed, entry.number, CROSS).permutation(len(tables))
    fold = dict(zip(sorted(tables), (order % FOLDS).tolist(), strict=True))
    for part in range(FOLDS):
        target = campaign.fold(entry.number, part)
        refs = [
            FrameRef(name, int(index))
            for name in sorted(tables)
            if fold[name] != part
            for index in np.flatnonzero(tables[name].labelled)
        ]
        job = Fitting(
            config=config,
            classes=campaign.record.classes,
            before=None,
            start=step_rng(config.seed, 0, START),
            rng=step_rng(config.seed, entry.number, CROSS + 1 + part),
            target=target,
            state=target.with_suffix(".state"),
            notes={"round": entry.number, "fold": part},
        )
        fit_model(job, refs, bench.clips, tables, None)
        mine = {name: table for name, table in tables.items() if fold[name] == part}
        yield detector_spec(config, model=target), mine


def _judge(
    bench: _Bench,
    entry: Round,
    parts: Sequence[tuple[DetectorSpec, Mapping[str, Annotations]]],
    how: Judging,
    pool: Callable[[], Sequence[Evidence] | None] | None = None,
) -> JudgedRound | None:
    """The rows of a round, each clip judged by its detector; None without labels or evidence."""
    assert bench.plan.expected is not None
    plans: dict[str, EvidencePlan] = {}
    labels: dict[str, Annotations] = {}
    for spec, tables in parts:
        plans |= dict.fromkeys(tables, replace(bench.plan, detector=spec))
        labels |= tables
    if not labels:
        return None
    keys = {name: plan.keys(bench.clips[name]) for name, plan in plans.items()}
    random = _random(bench.campaign, entry, labels)
    store = store_at(bench.plan.store)
    key = content_key("judged", VERSION, _inputs(bench.clips, keys, labels, random), {})
    names = tuple(sorted(bench.clips))
    kept = store.get(key)
    if kept is not None:
        return JudgedRound(entry.number, from_arrays(Judged, kept), how, names, pool)
    lost = _gather(bench, plans)
    mine = {name: table for name, table in labels.items() if name not in lost}
    # Rows are numbered by the place of their clip among all clips, in every round alike.
    every = {name: keys.get(name, EvidenceKeys("", None, None)) for name in bench.clips}
    judged = judge_stored(store, every, mine, bench.plan.expected, random=random)
    if judged is None:
        return None
    store.put(key, to_arrays(judged), Stored("judged"))
    return JudgedRound(entry.number, judged, how, names, pool)


def _pool_then(bench: _Bench, spec: DetectorSpec) -> list[Evidence] | None:
    """What the detector that selected a round had left of all clips; None where some is gone."""
    plan = replace(bench.plan, detector=spec)
    store = store_at(plan.store)
    keys = [plan.keys(clip) for clip in bench.clips.values()]
    if not has_all(store, keys, "expected"):
        return None
    return pool_evidence(load_evidence(store, plan.keys(clip)) for clip in bench.clips.values())


def _inputs(
    clips: Mapping[str, Clip],
    keys: Mapping[str, EvidenceKeys],
    labels: Mapping[str, Annotations],
    random: Mapping[str, BoolArray],
) -> list[Any]:
    """What judged rows depend on."""
    refs = [
        FrameRef(name, int(index))
        for name in sorted(labels)
        for index in np.flatnonzero(labels[name].labelled)
    ]
    drawn = [bool(random[ref.clip][ref.index]) for ref in refs]
    evidence = [[name, keys[name].expected] for name in sorted(keys)]
    return [sorted(clips), evidence, labels_digest(refs, labels), drawn]


def _gather(bench: _Bench, plans: Mapping[str, EvidencePlan]) -> set[str]:
    """Compute the evidence that is not there; the clips that cannot be read."""
    names = sorted(plans)
    outcomes = gather_jobs(
        [EvidenceJob(bench.clips[name], plans[name]) for name in names],
        store=bench.plan.store,
        engines=bench.engines,
        watcher=bench.watcher,
    )
    pairs = zip(names, outcomes, strict=True)
    return {name for name, outcome in pairs if isinstance(outcome, SkippedClip)}


def _random(
    campaign: Campaign, entry: Round, labels: Mapping[str, Annotations]
) -> dict[str, BoolArray]:
    """Clip id -> (F,) bool: frames that were drawn at random rather than for their score."""
    masks = {name: np.zeros(table.frames, np.bool_) for name, table in labels.items()}
    if entry.strategy in (*DRAWN, GIVEN):
        return {name: ~mask for name, mask in masks.items()}
    for ref in campaign.record.drawn(entry.number):
        if ref.clip in labels and known(labels[ref.clip], ref.index):
            masks[ref.clip][ref.index] = True
    return masks
