"""One step of a campaign each: select, answer, train. A real campaign and a simulation run these.

Every step computes, writes its files whole, and then changes the record in one transaction. A step
that was killed is run again: it draws the same random numbers (``step_rng``), finds what it had
finished, and ends with the record of an undisturbed run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidal.campaign.as_asked import kept_selection
from vidal.campaign.aside import make_room
from vidal.campaign.costs import round_costs, told_expected
from vidal.campaign.due import lost_models, to_train, without_snapshots
from vidal.campaign.fitting import Fitting, fit_model, labelled_frames
from vidal.campaign.folder import Campaign
from vidal.campaign.history import called_unknown
from vidal.campaign.judged import judge_rounds
from vidal.campaign.own import EVENT, forgotten, is_own, trained_detail, written
from vidal.campaign.prepared import prepare_round
from vidal.campaign.pseudo_labels import write_pseudo_labels
from vidal.campaign.record import GIVEN
from vidal.campaign.teaching import Teaching, choose_pseudo_labels
from vidal.campaign.training import snapshots_wanted
from vidal.errors import AwaitingAnnotation, CampaignError
from vidal.evidence.given import GivenDetections
from vidal.evidence.places import EngineMaker
from vidal.evidence.watch import Watcher
from vidal.protocols import Oracle
from vidal.selection.asked import FILE, write_asked
from vidal.selection.draws import START, TRAIN, step_rng
from vidal.selection.plan import SelectionPlan
from vidal.selection.result import SelectionResult
from vidal.selection.run import retell_selection, run_selection
from vidal.types import Annotations, Clip, FrameRef, SkippedClip

Writer = Callable[[SelectionResult, Path], object]
"""Writes the files of a query into a folder; afterwards they are there whole or not at all."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer changed: frames answered (skipped ones included), and frames still waiting."""

    round: int
    answered: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training: its model, on how many frames, how many of them without objects.

    ``again``: the model was gone, and was fitted anew to the labels of its time. ``for_states``: so
    was one that is there, because states of its training are compared that were not kept.
    ``pseudo_labels``: what it had beside them, see ``PseudoLabels.summary``; None = nothing.
    ``corrected``: the round had a model of answers that were corrected since.
    """

    round: int
    model: Path
    frames: int
    negatives: int
    again: bool = False
    for_states: bool = False
    pseudo_labels: Mapping[str, Any] | None = None
    corrected: bool = False


def check_selectable(campaign: Campaign) -> int:
    """The number of the round that can be selected now.

    Raises:
        AwaitingAnnotation: a query waits for its answer.
        CampaignError: there are labels to train on first, or a model is gone. Of a detector of
            one's own ``next_detections`` says that.
    """
    number = campaign.record.next_round()
    lost = lost_models(campaign)
    if lost:
        raise CampaignError(
            f"{campaign.folder / str(lost[0].model)}: the model of round {lost[0].number} is gone.",
            hint=f"Put it back, or fit it anew: `vidal train {campaign.folder}`.",
        )
    waiting = None if is_own(campaign) else to_train(campaign)
    if waiting is not None:
        why = "is answered, but no model is trained on it yet"
        if waiting.stale:
            why = "has a model of answers that were corrected since"
        raise CampaignError(
            f"round {waiting.number} {why}.",
            hint="Run `vidal train` first.",
        )
    bare = without_snapshots(campaign)
    if bare is not None:
        raise CampaignError(
            f"round {bare.number}: no states of its training were kept, and the strategy"
            f" {campaign.config.selection.strategy} compares them.",
            hint=f"Fit it again with `vidal train {campaign.folder}`, or set selection.options"
            " to {by: heads}.",
        )
    return number


def select_round(
    campaign: Campaign,
    plan: SelectionPlan,
    clips: Mapping[str, Clip],
    *,
    engines: EngineMaker,
    watcher: Watcher,
    write: Writer,
    truth: Mapping[str, Annotations] | None = None,
    trains: int | None = None,
) -> SelectionResult:
    """Select the next round's query, write its files, record it.

    Afterwards the round is ``queried``. Killed before that, the next call gives the same query.

    Args:
        campaign: locked by the caller.
        plan: of this round; see ``vidal.assemble.campaign.plan_round``. Its ``seed`` is the
            campaign's.
        clips: the training clips by id, in order of id; no others can be queried.
        engines, watcher: where the work is done, and who is told.
        write: called with the result and the folder of the query, which does not exist.
        truth: clip id -> labels of all frames, for the oracle strategies of a simulation only.
        trains: of given detections: the round that their model was trained on, which is recorded
            with the query; see ``vidal.campaign.own.next_detections``.

    Raises:
        AwaitingAnnotation: the last query is not answered.
        CampaignError: the last round is not trained, or no frame can be chosen.
    """
    number = check_selectable(campaign)
    prepared = prepare_round(campaign, plan, clips, number, engines=engines)
    lost: list[int] = []
    result = run_selection(
        plan,
        prepared,
        engines=engines,
        watcher=watcher,
        truth=truth,
        judged=judge_rounds(
            campaign,
            plan.evidence,
            clips,
            before=number,
            engines=engines,
            watcher=watcher,
            lost=lost,
        ),
    )
    result = replace(result, notes=(*result.notes, *forgotten(lost)))
    if not len(result.query):
        raise CampaignError(
            "no frame is far enough from the labelled ones.", hint="Lower selection.gap."
        )
    folder = campaign.query(number)
    make_room(folder, [(ref.clip, ref.index) for ref in result.query.frames])
    write(result, folder)
    model = campaign.newest_model()
    detail: dict[str, Any] = {
        "model": None if model is None else model.name,
        "seed": plan.query.seed,
        "selection": kept_selection(campaign.config),
    }
    detail |= told_expected(result.expected_cost)
    if result.drawn:
        detail["drawn"] = result.drawn
    told = [each.as_dict() for each in prepared.history.queries if each.counts is not None]
    if told:
        detail["answered_before"] = told
    if result.asked is not None:
        write_asked(folder / FILE, result.asked)
    trained = None
    if isinstance(plan.evidence.detector, GivenDetections):
        detail[EVENT] = written(plan.evidence.detector, campaign.folder)
        if trains is not None:
            trained = (trains, *trained_detail(plan.evidence.detector, campaign.folder))
    campaign.record.add_query(result.query, plan.query.strategy, detail, trained=trained)
    return result


def newest_query(campaign: Campaign) -> int:
    """The number of the newest round that a strategy was asked for.

    Raises:
        CampaignError: there is none.
    """
    for entry in reversed(campaign.record.rounds()):
        if entry.strategy != GIVEN and campaign.record.queried_in(entry.number):
            return entry.number
    raise CampaignError("no query was made yet.", hint="Make one with `vidal select --campaign`.")


def needed_for(campaign: Campaign, number: int) -> set[str]:
    """Ids of the clips that a round and what it learned from asked about."""
    return {
        ref.clip
        for entry in campaign.record.rounds()
        if entry.number <= number
        for ref in campaign.record.queried_in(entry.number)
    }


def retell_round(
    campaign: Campaign,
    plan: SelectionPlan,
    clips: Mapping[str, Clip],
    number: int,
    *,
    engines: EngineMaker,
    watcher: Watcher,
    lost: Sequence[SkippedClip] = (),
) -> SelectionResult:
    """The result of an earlier selection, from the record and the evidence; nothing is selected.

    Evidence that was deleted is computed again. Of the training clips those may be lost that no
    round up to this one asked about (``needed_for``).

    Raises:
        CampaignError: no frame of that round was selected by a strategy.
    """
    entry = next((each for each in campaign.record.rounds() if each.number == number), None)
    frames = campaign.record.queried_in(number)
    if entry is None or entry.strategy == GIVEN or not frames:
        raise CampaignError(f"round {number} has no query to report.")
    prepared = prepare_round(campaign, plan, clips, number, engines=engines, lost=lost)
    if prepared.wanted is not None:
        prepared = replace(prepared, wanted=entry.wanted)
    gone: list[int] = []
    told = retell_selection(
        plan,
        prepared,
        frames,
        engines=engines,
        watcher=watcher,
        drawn=len(campaign.record.drawn(number)),
        judged=judge_rounds(
            campaign,
            plan.evidence,
            clips,
            before=number,
            engines=engines,
            watcher=watcher,
            lost=gone,
        ),
    )
    notes = (*told.notes, *forgotten(gone))
    real = next((each.real for each in round_costs(campaign) if each.round == number), None)
    return replace(
        told, notes=notes, called_unknown=called_unknown(campaign, frames), real_cost=real
    )


def answer_round(
    campaign: Campaign, oracle: Oracle, *, skipped: Iterable[FrameRef] = ()
) -> Answered:
    """Ask the oracle about the frames that wait, and record what it says.

    The round is ``answered`` when no frame waits any more; with a part of the answers it stays
    ``queried``, and the next call asks for the rest. One transaction.

    Args:
        campaign: locked by the caller.
        oracle: asked about all frames that wait; its labels have the classes of the campaign.
        skipped: frames that are not labelled and not asked for again.

    Raises:
        AwaitingAnnotation: the oracle is not ready.
        CampaignError: no query waits.
    """
    entry = campaign.record.open_round()
    if entry is None:
        raise CampaignError(
            "no query waits for an answer.", hint="Make one with `vidal select --campaign`."
        )
    refused = set(skipped)
    asked = [ref for ref in campaign.record.waiting() if ref not in refused]
    tables = oracle.annotate(entry.number, asked) if asked else {}
    answered, waiting = campaign.record.answer(tables, skipped=refused)
    return Answered(entry.number, answered, waiting)


def train_round(
    campaign: Campaign,
    clips: Mapping[str, Clip],
    *,
    progress: Callable[[Mapping[str, float]], None] | None = None,
    teaching: Teaching | None = None,
) -> Trained | None:
    """Train a model on all labelled frames, and record it. None = there is nothing new to train on.

    Where the model of a trained round is gone, this one is fitted anew, the oldest first; so is the
    newest where states of its training are wanted that were not kept.

    Afterwards the round is ``trained``. Killed before that, the next call goes on with the last
    finished epoch and ends with the same weights (same machine, same number of threads).

    Args:
        campaign: locked by the caller.
        clips: the training clips by id; at least those with labelled frames, and all that
            pseudo-labels may come from.
        progress: called after every step, see ``vidal.detect.training.run_epoch``.
        teaching: needed where the configuration wants pseudo-labels.

    Raises:
        AwaitingAnnotation: a query waits for its answer.
        UsageError: the training diverges.
        WeightsError: the model to start from is not there.
    """
    entry = next(iter(lost_models(campaign)), None)
    again = entry is not None
    if entry is None:
        open_round = campaign.record.open_round()
        if open_round is not None:
            raise AwaitingAnnotation(open_round.number, len(campaign.record.waiting()))
        entry = to_train(campaign)
    for_states = entry is None
    if entry is None:
        entry = without_snapshots(campaign)
    if entry is None:
        _clean(campaign)
        return None
    refs, tables = labelled_frames(campaign, clips, through=entry.number)
    rows = [tables[ref.clip].on(ref.index) for ref in refs]
    negatives = sum(each.start == each.stop for each in rows)
    model = campaign.model(entry.number)
    pseudo = None
    if campaign.config.training.pseudo_labels is not None:
        assert teaching is not None
        pseudo = choose_pseudo_labels(campaign, clips, entry.number, teaching)
    if pseudo is not None:
        write_pseudo_labels(campaign.pseudo_labels(entry.number), pseudo)
    job = _fitting(campaign, entry.number)
    weights = fit_model(job, refs, clips, tables, progress, pseudo=pseudo)
    detail: dict[str, Any] = {"frames": len(refs), "weights": weights}
    summary = None if pseudo is None else pseudo.summary()
    if summary is not None:
        detail["pseudo_labels"] = summary
    campaign.record.trained(entry.number, f"models/{model.name}", detail)
    _clean(campaign)
    return Trained(
        entry.number, model, len(refs), negatives, again, for_states, summary, entry.stale
    )


def _fitting(campaign: Campaign, number: int) -> Fitting:
    """The training of a round."""
    config = campaign.config
    goes_on = config.training.begin == "previous"
    former = campaign.newest_model(before=number) if goes_on else None
    return Fitting(
        config=config,
        classes=campaign.record.classes,
        before=former,
        start=step_rng(config.seed, 0, START),
        rng=step_rng(config.seed, number, TRAIN),
        target=campaign.model(number),
        state=campaign.training(number),
        notes={"round": number},
        snapshots=snapshots_wanted(config),
    )


def _clean(campaign: Campaign) -> None:
    """Remove the state of trainings that are finished."""
    for entry in campaign.record.rounds():
        if entry.state == "trained":
            shutil.rmtree(campaign.training(entry.number), ignore_errors=True)
