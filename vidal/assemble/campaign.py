"""From a campaign's configuration to the plan of one of its rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidal.assemble import build_strategy
from vidal.assemble.selection import SelectionJob, plan_selection
from vidal.campaign.config import CampaignConfig
from vidal.campaign.folder import Campaign
from vidal.campaign.places import Engines
from vidal.campaign.selection import SelectionPlan
from vidal.campaign.training import detector_spec
from vidal.protocols import Selector


def plan_round(
    campaign: Campaign, *, number: int | None = None, selector: Selector | None = None
) -> SelectionJob:
    """How a round is selected: its strategy, budget, detector and evidence.

    Until a model is trained it is the initial strategy with the initial budget and the detector of
    the configuration; then the strategy, with the model of the newest trained round.

    Args:
        campaign: open.
        number: of the round; None = the next one.
        selector: instead of the configured strategy (not of the initial one), with its neighbour
            exclusion: the oracles of a simulation.

    Raises:
        UsageError: the configuration names what does not exist, or needs a detector that there is
            not yet.
        WeightsError: no such checkpoint.
    """
    config, chosen = campaign.config, campaign.config.selection
    model = campaign.newest_model(before=number)
    initial = model is None
    job = plan_selection(
        videos=campaign.folder,
        out=campaign.folder,
        budget=chosen.initial if initial else chosen.budget,
        strategy=chosen.initial_strategy if initial else chosen.strategy,
        options={} if initial else chosen.options,
        gap=chosen.gap,
        seed=config.seed,
        threshold=chosen.threshold,
        device=config.detector.device,
        precision=config.detector.precision,
        batch=config.detector.batch,
        coherence=chosen.coherence,
        flow=chosen.flow,
        cache=campaign.evidence,
        workers=config.workers,
        image_rate=config.data.image_rate,
    )
    plan = job.plan
    if selector is not None and not initial:
        plan = replace(plan, selector=selector)
    if plan.selector.needs:
        spec = detector_spec(config, model=model)
        spec.check()
        plan = replace(plan, evidence=replace(plan.evidence, detector=spec))
        plan = replace(plan, settings={**plan.settings, **_detector_settings(plan)})
    engines = replace(job.engines, detects=bool(plan.selector.needs))
    return SelectionJob(plan, engines)


def check_config(config: CampaignConfig) -> None:
    """Refuse names and options that do not exist, before a campaign is begun.

    Raises:
        UsageError: (UnknownName, ...) as ``plan_selection``.
    """
    chosen = config.selection
    build_strategy(chosen.strategy, gap=chosen.gap, options=chosen.options)
    initial = build_strategy(chosen.initial_strategy, gap=chosen.gap, options={})
    plan_selection(
        videos=Path(),
        out=Path(),
        budget=chosen.budget,
        strategy=chosen.strategy,
        options=chosen.options,
        gap=chosen.gap,
        threshold=chosen.threshold,
        device=config.detector.device,
        coherence=chosen.coherence,
        flow=chosen.flow,
    )
    if initial.needs:
        detector_spec(config)


def engines_of(config: CampaignConfig) -> Engines:
    """Where the work of a campaign is done."""
    return Engines(config.workers, config.detector.device)


def _detector_settings(plan: SelectionPlan) -> dict[str, object]:
    """As ``plan_selection`` writes them down, of the detector that is used."""
    spec = plan.evidence.detector
    known = plan.settings.get("detector", {})
    own = {
        "name": spec.name,
        "weights": None if spec.weights is None else spec.weights.name,
        "classes": spec.classes,
    }
    return {"detector": {**known, **own}}
