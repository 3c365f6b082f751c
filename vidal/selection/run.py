"""The main job: from a folder of clips and a budget to a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from vidal.errors import NoClips
from vidal.evidence.gather import ClipEvidence, EvidenceJob, gather, known_evidence
from vidal.evidence.places import EngineMaker, store_at
from vidal.query.random_share import select_with_random
from vidal.selection.draws import LEARN
from vidal.selection.expected import JudgedRound, learn
from vidal.selection.forecast import newest_forecast
from vidal.selection.lookup import Lookup
from vidal.selection.notes import notes_on, versions
from vidal.selection.plan import Prepared, SelectionPlan, Watcher
from vidal.selection.pool import PoolClip, build_pool
from vidal.selection.result import SelectionResult
from vidal.types import Annotations, Explanation, FrameRef, Pool, Query, SkippedClip
from vidal.video import read_frames

_DRAWN = "drawn at random, as a sample of all frames"


def run_selection(
    plan: SelectionPlan,
    prepared: Prepared,
    *,
    engines: EngineMaker,
    watcher: Watcher,
    truth: Mapping[str, Annotations] | None = None,
    chosen: Sequence[FrameRef] | None = None,
    drawn: int = 0,
    judged: Sequence[JudgedRound] | None = None,
) -> SelectionResult:
    """Gather evidence, build the pool, select.

    Same plan, same clips, same seed: same query, whatever the engine and the number of workers.

    Args:
        plan: what to select, and how.
        prepared: from what.
        engines: where the work is done.
        watcher: told how far it is.
        truth: for the oracles of a simulation only; see ``build_pool``.
        chosen: what an earlier run has chosen: nothing is selected, the result is told again.
        drawn: how many of the last chosen frames were drawn at random.
        judged: what earlier rounds taught, which expected errors are learned from.
            None = the labels judge the detector of this run.
    """
    evidence: dict[str, ClipEvidence] = {}
    skipped = list(prepared.skipped)
    if plan.selector.needs:
        _gather_all(plan, prepared, engines, watcher, evidence, skipped)
    clips = [clip for clip in prepared.clips if not plan.selector.needs or clip.id in evidence]
    classes = next((known.classes for known in evidence.values()), ())
    lookup = Lookup(plan, {clip.id: clip for clip in clips}, evidence, prepared)
    rng = np.random.default_rng([plan.seed, prepared.round])
    draw = np.random.default_rng([plan.seed, prepared.round, LEARN])
    lesson = learn(plan.evidence, clips, prepared.labels, draw, judged)
    lookup.model = lesson.model
    told = newest_forecast(lesson.rounds, lesson.model, plan.seed)
    build = partial(
        build_pool,
        classes=classes,
        needs=plan.selector.needs,
        threshold=plan.threshold,
        truth=truth,
    )
    if chosen is None:
        pool, positions, drawn = _choose(plan, prepared, lookup, build, rng)
    else:
        pool = build(lookup.parts())
        positions = _positions(pool, chosen)
    query = _query(plan, prepared, lookup, pool, positions, drawn)
    return SelectionResult(
        query=query,
        clips={clip.id: clip for clip in clips},
        skipped=tuple(skipped),
        load=lookup.result,
        strategy=plan.strategy,
        classes=classes,
        threshold=plan.threshold,
        budget_text=plan.budget.text,
        budget_base=prepared.base_text,
        settings=plan.settings,
        versions=versions(),
        notes=(
            *lesson.remarks,
            *(() if told is None else (told.sentence,)),
            *notes_on(prepared, clips, evidence, query),
        ),
        drawn=drawn,
        forecast=told,
        prints=lookup.prints,
    )


def _query(
    plan: SelectionPlan,
    prepared: Prepared,
    lookup: Lookup,
    pool: Pool,
    positions: np.ndarray,
    drawn: int,
) -> Query:
    """The chosen frames with scores and reasons; the scores of all frames are remembered."""
    scores = plan.selector.score(pool)
    lookup.keep_scores(pool, scores)
    return Query(
        round=prepared.round,
        frames=tuple(pool.frames.ref(int(pos)) for pos in positions),
        scores=scores[positions],
        explanation=_explained(plan.selector.explain(pool, positions), drawn),
        budget=prepared.wanted,
    )


def _gather_all(
    plan: SelectionPlan,
    prepared: Prepared,
    engines: EngineMaker,
    watcher: Watcher,
    evidence: dict[str, ClipEvidence],
    skipped: list[SkippedClip],
) -> None:
    store = store_at(plan.evidence.store)
    outcomes: dict[str, ClipEvidence | SkippedClip] = {}
    jobs = []
    for clip in prepared.clips:
        job = EvidenceJob(clip, plan.evidence)
        known = known_evidence(job, store)
        if known is None:
            jobs.append(job)
        else:
            outcomes[clip.id] = known
    if jobs:
        plan.evidence.detector.fetch()
        watcher.begin([job.clip for job in jobs], len(outcomes))
    engine = engines(len(jobs), heavy=True, listener=watcher.advance)
    for item, outcome in enumerate(engine.map(gather, jobs)):
        outcomes[jobs[item].clip.id] = outcome
        watcher.finish(
            item, f"skipped: {outcome.reason}" if isinstance(outcome, SkippedClip) else ""
        )
    for clip in prepared.clips:
        found = outcomes[clip.id]
        if isinstance(found, SkippedClip):
            skipped.append(found)
        else:
            evidence[clip.id] = found
    if not evidence:
        raise NoClips(
            plan.videos or prepared.clips[0].path,
            f"none of the clips can be used; {skipped[-1].reason}",
        )


def _choose(
    plan: SelectionPlan,
    prepared: Prepared,
    lookup: Lookup,
    build: Callable[[Iterable[PoolClip]], Pool],
    rng: np.random.Generator,
) -> tuple[Pool, np.ndarray, int]:
    """The pool, the chosen positions, and how many of the last were drawn at random.

    A strategy that needs no evidence chooses frames that nobody has decoded yet: those that do
    not decode leave the pool, and it chooses again.
    """
    while True:
        pool = build(lookup.parts())
        state = rng.bit_generator.state
        wanted = min(prepared.wanted, len(pool))
        positions, drawn = select_with_random(
            plan.selector, pool, wanted, rng, share=plan.random_share, gap=plan.gap
        )
        if plan.selector.needs or plan.videos is None:
            return pool, positions, drawn
        unreadable = _unreadable(pool, positions, lookup)
        if not unreadable:
            return pool, positions, drawn
        for clip, frames in unreadable.items():
            lookup.exclude(clip, frames)
        rng.bit_generator.state = state


def _explained(explanation: Explanation, drawn: int) -> Explanation:
    """The reasons, of the last frames that they were drawn at random."""
    if not drawn:
        return explanation
    words = explanation.words[: len(explanation.words) - drawn]
    return replace(explanation, words=(*words, *(_DRAWN,) * drawn))


def _positions(pool: Pool, frames: Sequence[FrameRef]) -> np.ndarray:
    """Where frames are in the pool; those that are not there any more are left out."""
    where = {pool.frames.ref(pos): pos for pos in range(len(pool))}
    return np.array([where[ref] for ref in frames if ref in where], np.int64)


def _unreadable(pool: Pool, positions: np.ndarray, lookup: Lookup) -> dict[str, tuple[int, ...]]:
    wanted: dict[str, list[int]] = {}
    for pos in positions:
        ref = pool.frames.ref(int(pos))
        wanted.setdefault(ref.clip, []).append(ref.index)
    missing: dict[str, tuple[int, ...]] = {}
    for clip, frames in wanted.items():
        decoded = {frame.ref.index for frame in read_frames(lookup.clip(clip), sorted(frames))}
        if lost := tuple(sorted(set(frames) - decoded)):
            missing[clip] = lost
    return missing
