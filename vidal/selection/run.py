"""The main job: plan -> evidence -> what was learned -> pool -> query -> result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vidal.errors import EvidenceLost, NoClips
from vidal.evidence.gather import EvidenceJob
from vidal.evidence.gathered import Gathered, gather_clips
from vidal.evidence.gathering import carry_again
from vidal.evidence.given import GivenDetections
from vidal.evidence.labels import labelled_objects
from vidal.evidence.linked import MotionOf
from vidal.evidence.motion import SHOWN
from vidal.evidence.places import EngineMaker
from vidal.evidence.watch import Watcher
from vidal.selection.again import COLUMNS
from vidal.selection.choose import Choice, choose, recall
from vidal.selection.expected import JudgedRound
from vidal.selection.history import History
from vidal.selection.learn import Lesson, expected_sentence, learn
from vidal.selection.lookup import Lookup
from vidal.selection.near import windows_of
from vidal.selection.notes import gap_note, lost_note, notes_on, order_note, unused_budget, versions
from vidal.selection.plan import Prepared, SelectionPlan
from vidal.selection.reasons import box_sentences, with_boxes
from vidal.selection.result import SelectionResult
from vidal.selection.trained import Trainer, learners_of
from vidal.types import Annotations, FrameRef, Query


def run_selection(
    plan: SelectionPlan,
    prepared: Prepared,
    *,
    engines: EngineMaker,
    watcher: Watcher,
    truth: Mapping[str, Annotations] | None = None,
    judged: Sequence[JudgedRound] | None = None,
) -> SelectionResult:
    """Gather evidence, learn from labels, build the pool, choose.

    Same plan, same clips, same seed: same query, whatever the engine and the number of workers.

    Args:
        plan: what to select, and how.
        prepared: from what.
        engines: where the work is done.
        watcher: told how far it is.
        truth: for the oracles of a simulation only; see ``stored_pool``.
        judged: what earlier rounds taught, which expected errors are learned from.
            None = the labels judge the detector of this run.

    Raises:
        NoClips: none of the clips can be used.
        EvidenceMissing: the strategy needs what cannot be known here; mostly before any work.
    """
    trainer = _trainer(plan, prepared)
    found = _evidence(plan, prepared, engines, watcher)
    lesson = _lesson(plan, prepared, found, judged)
    lookup = _lookup(plan, prepared, found, lesson, engines=engines, watcher=watcher)
    choice = choose(
        plan.query,
        lookup,
        number=prepared.round,
        wanted=prepared.wanted,
        truth=truth,
        trainer=trainer,
        history=prepared.history,
        engines=engines,
    )
    return _result(plan, prepared, found, lesson, choice, engines)


def retell_selection(
    plan: SelectionPlan,
    prepared: Prepared,
    frames: Sequence[FrameRef],
    *,
    drawn: int,
    engines: EngineMaker,
    watcher: Watcher,
    judged: Sequence[JudgedRound] | None = None,
) -> SelectionResult:
    """The result of an earlier run that chose ``frames``; the last ``drawn`` of them at random.

    The other arguments are those of ``run_selection``, as they were then.
    """
    trainer = _trainer(plan, prepared)
    found = _evidence(plan, prepared, engines, watcher)
    lesson = _lesson(plan, prepared, found, judged)
    lookup = _lookup(plan, prepared, found, lesson, engines=engines, watcher=watcher)
    choice = recall(
        plan.query,
        lookup,
        frames,
        number=prepared.round,
        wanted=prepared.wanted,
        drawn=drawn,
        trainer=trainer,
        history=prepared.history,
    )
    return _result(plan, prepared, found, lesson, choice, engines)


def _evidence(
    plan: SelectionPlan, prepared: Prepared, engines: EngineMaker, watcher: Watcher
) -> Gathered:
    """What the strategy needs of every clip; a strategy that needs nothing runs no detector.

    Detections that are given are there without one, and their boxes are pre-annotations.
    """
    if not plan.query.needs and not isinstance(plan.evidence.detector, GivenDetections):
        return Gathered({clip.id: clip for clip in prepared.clips})
    found = gather_clips(plan.evidence, prepared.clips, engines=engines, watcher=watcher)
    if not found.clips:
        place = plan.inputs.videos or prepared.clips[0].path
        raise NoClips(place, f"none of the clips can be used; {found.skipped[-1].reason}")
    return found


def _trainer(plan: SelectionPlan, prepared: Prepared) -> Trainer:
    """What makes columns that nobody stores.

    Raises:
        EvidenceMissing: what the strategy needs cannot be had.
    """
    trainer = Trainer(
        plan.query.strategy,
        plan.query.needs,
        plan.evidence.detector,
        plan.query.seed,
        prepared.round,
        snapshots=bool(plan.evidence.snapshots),
        learners=learners_of(plan.query.selector),
    )
    labels = prepared.labels
    trainer.check(
        0 if labels is None else sum(int(labels.labelled(clip).sum()) for clip in prepared.clips)
    )
    return trainer


def _snapshots(
    plan: SelectionPlan, found: Gathered, engines: EngineMaker, watcher: Watcher
) -> tuple[Gathered, ...]:
    """What earlier states of the detector find, where the strategy asks for it."""
    needs = plan.query.needs
    if "heads" in needs or not needs & COLUMNS:
        return ()
    clips = list(found.clips.values())
    return tuple(
        gather_clips(each, clips, engines=engines, watcher=watcher) for each in plan.evidence.again
    )


def _lookup(
    plan: SelectionPlan,
    prepared: Prepared,
    found: Gathered,
    lesson: Lesson,
    *,
    engines: EngineMaker,
    watcher: Watcher,
) -> Lookup:
    return Lookup(
        found,
        prepared.labels,
        prepared.barred,
        lesson.model,
        lesson.totals,
        lesson.numbers,
        lesson.ranks,
        snapshots=_snapshots(plan, found, engines, watcher),
        by_region="false_alarm" in plan.query.selector.needs,
        plan=plan.evidence,
    )


def _lesson(
    plan: SelectionPlan,
    prepared: Prepared,
    found: Gathered,
    judged: Sequence[JudgedRound] | None,
) -> Lesson:
    return learn(
        found,
        plan.evidence.expected,
        prepared.labels,
        judged,
        seed=plan.query.seed,
        number=prepared.round,
    )


def _reasoned(
    plan: SelectionPlan, choice: Choice, found: Gathered, engines: EngineMaker
) -> tuple[Query, tuple[str, ...]]:
    """The query with reasons that name boxes, where an estimate says anything of them.

    Frames that were drawn at random keep their words: no box had a part in it.

    Returns:
        The query, and clips whose motion is not in the store any more and cannot be measured again.
    """
    query, evidence = choice.query, plan.evidence
    if evidence.coherence is None or not {"expected", "errors"} & plan.query.needs:
        return query, ()
    picked: dict[str, list[int]] = {}
    for ref in query.frames:  # also those that were drawn: the report will ask for all
        picked.setdefault(ref.clip, []).append(ref.index)
    said, lost = _told(plan, choice, picked)
    if lost:
        reach = max(SHOWN, evidence.coherence.window)
        parts = [
            (EvidenceJob(found.clips[name], evidence), windows_of(found, name, picked[name], reach))
            for name in lost
        ]
        carry_again(parts, store=evidence.store, engines=engines)
        more, lost = _told(plan, choice, {name: picked[name] for name in lost})
        said |= more
    words = [said.get(ref, "") for ref in query.frames]
    return replace(query, explanation=with_boxes(query.explanation, words)), tuple(lost)


def _told(
    plan: SelectionPlan, choice: Choice, picked: Mapping[str, Sequence[int]]
) -> tuple[dict[FrameRef, str], list[str]]:
    """What is said of boxes of chosen frames, and clips whose motion is not in the store."""
    evidence = plan.evidence
    assert evidence.coherence is not None
    frames, lost = choice.query.frames, []
    drawn = set(frames[len(frames) - choice.drawn :])
    said: dict[FrameRef, str] = {}
    for name, indices in sorted(picked.items()):  # about as they lie in the store
        mine = [index for index in indices if FrameRef(name, index) not in drawn]
        if not mine:
            continue
        loaded = choice.scored.near(name, indices, evidence.coherence.window)
        if loaded.verdicts is None or loaded.detections is None:
            continue
        motion = None
        try:
            motion = choice.scored.motion(loaded, indices, evidence.coherence.window)
        except EvidenceLost:
            lost.append(name)
        told = box_sentences(
            loaded,
            mine,
            motion,
            threshold=plan.query.threshold,
            window=evidence.coherence.window,
            unknown=choice.unknown,
        )
        said |= {FrameRef(name, index): words for index, words in told.items()}
    return said, lost


def _result(
    plan: SelectionPlan,
    prepared: Prepared,
    found: Gathered,
    lesson: Lesson,
    choice: Choice,
    engines: EngineMaker,
) -> SelectionResult:
    expected = lesson.expected(choice.query)
    query, lost = _reasoned(plan, choice, found, engines)
    remarks = lesson.remarks
    if expected is not None:
        remarks = (*remarks, expected_sentence(expected))
    if choice.balance is not None:
        remarks = (*remarks, choice.balance.sentence)
    short = unused_budget(plan.query, choice.spent, prepared.selectable)
    return SelectionResult(
        query=query,
        clips=found.clips,
        skipped=(*prepared.skipped, *found.skipped),
        load=choice.scored,
        strategy=plan.query.strategy,
        classes=found.classes,
        threshold=plan.query.threshold,
        budget_text=plan.query.budget.text,
        budget_base=prepared.base_text,
        settings=plan.settings,
        versions=versions(),
        notes=(
            *remarks,
            *found.notes,
            *short,
            *lost_note(lost),
            *gap_note(plan.query.gap, found.clips.values()),
            *order_note(choice.query, choice.drawn, plan.query.selector),
            *choice.remarks,
            *prepared.history.sentences,
            *notes_on(prepared, found, choice.query),
        ),
        drawn=choice.drawn,
        forecast=lesson.forecast,
        expected=expected,
        expected_by=lesson.source,
        balance=choice.balance,
        prints=found.prints,
        budget_unit=plan.query.budget.unit,
        expected_cost=choice.spent,
        asked=choice.asked,
        unknown=choice.unknown,
        # what can be sent to another process
        history=History(prepared.history.queries),
        motion=MotionOf(plan.evidence, found.clips if plan.query.needs else {}),
        labels_before=None
        if prepared.labels is None
        else labelled_objects(prepared.labels.annotations.values()),
    )
