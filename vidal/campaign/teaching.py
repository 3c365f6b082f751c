"""Which unlabelled frames the model of the round before gives labels to, and which labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from vidal.campaign.folder import Campaign
from vidal.campaign.judged import judge_rounds
from vidal.campaign.oracle import by_clip, only
from vidal.campaign.pseudo_labels import PseudoLabels
from vidal.coherence.pseudo_labels import PseudoLabelOptions, pseudo_annotations, sure
from vidal.evidence.gather import EvidenceJob, EvidencePlan, load_evidence
from vidal.evidence.gathered import gather_jobs
from vidal.evidence.linked import Linked, load_linked
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.watch import Watcher
from vidal.expected_errors import ErrorModel, Evidence
from vidal.query.exclusion import thin
from vidal.selection.draws import LEARN, PSEUDO, step_rng
from vidal.selection.expected import fit_expected_errors
from vidal.selection.learn import pool_evidence
from vidal.types import Annotations, BoolArray, Clip, FrameSet, ScoreArray, SkippedClip

Teacher = Callable[[Campaign, int], EvidencePlan]
"""How the pool is looked at by the model that was there before a round; importable by name."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What pseudo-labels need besides the campaign.

    Attributes:
        plan: see ``Teacher``.
        engines, watcher: where evidence that is not there is computed, and who is told.
    """

    plan: Teacher
    engines: EngineMaker
    watcher: Watcher = field(compare=False)


def choose_pseudo_labels(
    campaign: Campaign, clips: Mapping[str, Clip], number: int, teaching: Teaching
) -> PseudoLabels | None:
    """The pseudo-labels of a round's training; None where it has none.

    The teacher is the model that the round began with. What it detects on frames that no round up
    to this one has asked for is judged by temporal coherence and by expected errors, which have
    learned from all answers so far. The same record, models and seed give the same labels.

    Args:
        campaign: its record and models are read.
        clips: the training clips by id: the pool.
        number: of the round that is trained.
        teaching: see there.

    Returns:
        None where they are not wanted, or no model of an earlier round is there to give them.
    """
    options = campaign.config.training.pseudo_labels
    earlier = [e.number for e in campaign.record.rounds() if e.model and e.number < number]
    if options is None or not earlier:
        return None
    plan = teaching.plan(campaign, number)
    outcomes = gather_jobs(
        [EvidenceJob(clip, plan) for clip in clips.values()],
        store=plan.store,
        engines=teaching.engines,
        watcher=teaching.watcher,
    )
    lost = {str(each.path) for each in outcomes if isinstance(each, SkippedClip)}
    there = {name: clip for name, clip in clips.items() if str(clip.path) not in lost}
    model = _model(campaign, plan, there, clips, number, teaching)
    free, labelled = _frames(campaign, clips, number)
    tables = {}
    for name, clip in sorted(there.items()):
        table = _labels(load_linked(EvidenceJob(clip, plan)), model, free[name], options)
        if table.labelled.any():
            tables[name] = table
    return _drawn(campaign, tables, labelled, number, max(earlier), options)


def _model(
    campaign: Campaign,
    plan: EvidencePlan,
    there: Mapping[str, Clip],
    clips: Mapping[str, Clip],
    number: int,
    teaching: Teaching,
) -> ErrorModel | None:
    """What expects the teacher's errors; None where nothing does."""
    assert plan.expected is not None
    rounds = judge_rounds(
        campaign,
        plan,
        clips,
        before=number + 1,
        engines=teaching.engines,
        watcher=teaching.watcher,
        cross_fit=False,
    )
    store = store_at(plan.store)
    rows = (load_evidence(store, plan.keys(clip)) for clip in there.values())
    first = next((each for each in rows if each is not None), None)
    return fit_expected_errors(
        [each.judged for each in rounds],
        step_rng(campaign.config.seed, number, LEARN),
        plan.expected,
        pool=_pool(plan, there),
        columns=None if first is None else first.columns,
    )


def _pool(plan: EvidencePlan, there: Mapping[str, Clip]) -> list[Evidence]:
    """What only the correction by importance looks at."""
    if plan.expected is None or plan.expected.correction != "importance":
        return []
    store = store_at(plan.store)
    return pool_evidence(load_evidence(store, plan.keys(clip)) for clip in there.values())


def _frames(
    campaign: Campaign, clips: Mapping[str, Clip], number: int
) -> tuple[dict[str, BoolArray], dict[str, BoolArray]]:
    """Clip id -> (F,) frames that nobody was asked for up to a round, and labelled ones."""
    free, labelled = {}, {}
    for name, clip in clips.items():
        states = campaign.record.states(clip, before=number + 1)
        free[name] = ~(states.queried | states.labelled | states.skipped)
        labelled[name] = states.labelled
    return free, labelled


def _labels(
    found: Linked, model: ErrorModel | None, allowed: BoolArray, options: PseudoLabelOptions
) -> Annotations:
    """What a clip's frames would be labelled with."""
    judged = found.judged
    chosen = sure(
        judged.detections,
        found.links,
        found.estimate.false_positive,
        _false_alarm(found, model),
        options,
    )
    return pseudo_annotations(
        found.detections, judged.rows[chosen], found.estimate, allowed=allowed, floor=options.floor
    )


def _false_alarm(found: Linked, model: ErrorModel | None) -> ScoreArray:
    """(N,) probability that a judged detection is a false alarm; 0 where nothing expects errors."""
    if model is None:
        return np.zeros(len(found.judged.rows))
    whole = np.full(len(found.detections), np.nan)
    whole[found.evidence.rows] = model.false_positive(found.evidence.detections)
    return whole[found.judged.rows]


def _drawn(
    campaign: Campaign,
    tables: Mapping[str, Annotations],
    labelled: Mapping[str, BoolArray],
    number: int,
    teacher: int,
    options: PseudoLabelOptions,
) -> PseudoLabels:
    """As many frames as are allowed, in random order, apart from each other and from labels."""
    names = tuple(sorted(labelled))
    able = _set(names, {name: table.labelled for name, table in tables.items()})
    known = _set(names, labelled)
    most = int(options.ratio * len(known))
    order = step_rng(campaign.config.seed, number, PSEUDO).permutation(len(able))
    taken = order[:0]
    if len(able):
        taken = np.sort(thin(able, known, order.astype(np.int64), options.spacing)[:most])
    refs = tuple(able.ref(int(pos)) for pos in taken)
    kept = {name: only(tables[name], indices) for name, indices in by_clip(refs).items()}
    return PseudoLabels(refs, kept, campaign.record.classes, teacher, asdict(options))


def _set(names: tuple[str, ...], masks: Mapping[str, BoolArray]) -> FrameSet:
    """The frames that are marked, by clip and index."""
    none = np.zeros(0, np.int64)
    index = [np.flatnonzero(masks[name]) if name in masks else none for name in names]
    clip = [np.full(len(each), number, np.int64) for number, each in enumerate(index)]
    return FrameSet(names, np.concatenate([none, *clip]), np.concatenate([none, *index]))
