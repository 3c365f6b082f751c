"""What a configuration of a campaign is refused for, before anything is begun."""

from __future__ import annotations

from pathlib import Path

from vidal.assemble import build_strategy
from vidal.assemble.balance import parse_balance
from vidal.assemble.request import SelectionRequest
from vidal.assemble.selection import plan_selection, turns_of
from vidal.campaign.config import CampaignConfig
from vidal.campaign.own import configured
from vidal.campaign.training import detector_spec
from vidal.errors import UsageError
from vidal.query.budget import Budget


def check_config(config: CampaignConfig) -> None:
    """Refuse names and options that do not exist, before a campaign is begun.

    Raises:
        UsageError: (UnknownName, ...) as ``plan_selection``.
    """
    chosen, own = config.selection, config.data.detections
    strategy = build_strategy(
        chosen.strategy,
        gap=chosen.gap,
        options=chosen.options,
        known=chosen.known_only,
        turns=turns_of(chosen.turns, chosen.balance),
    )
    initial = build_strategy(chosen.initial_strategy, gap=chosen.gap, options={})
    plan_selection(
        SelectionRequest(
            videos=Path(),
            out=Path(),
            budget=chosen.budget_of(1),
            strategy=chosen.strategy,
            options=chosen.options,
            gap=chosen.gap,
            turns=chosen.turns,
            threshold=chosen.threshold,
            device=config.detector.device,
            coherence=chosen.coherence,
            flow=chosen.flow,
            tracker=chosen.tracker,
            tracker_options=chosen.tracker_options,
            expected=chosen.expected,
            detections=None if own is None else configured(config.data, config.data.classes or ()),
        )
    )
    weighing = parse_balance(chosen.balance, chosen.class_weights, config.data.classes)
    if weighing is not None:
        weighing.around(strategy, chosen.gap)
    if own is None and (initial.needs or not Budget.parse(chosen.initial).counts_frames):
        detector_spec(config)
    check_backbone(config)


def check_weights(config: CampaignConfig) -> None:
    """Refuse weights that are not there, or of a model that vidal does not run.

    Raises:
        WeightsError: names the file, and the way out.
    """
    if config.detector.weights is not None:
        detector_spec(config).check()


def check_backbone(config: CampaignConfig) -> None:
    """Refuse a backbone that does not fit the network that is named; ``auto`` is asked later."""
    path, name = config.detector.backbone, config.detector.name
    if path is None:
        return
    from vidal.detect.architectures import ARCHITECTURES
    from vidal.detect.body import read_body
    from vidal.detect.checkpoints import load_checkpoint
    from vidal.detect.load import SHIPPED

    name = "scenes-tiny" if name in SHIPPED else name
    if name in ARCHITECTURES:
        read_body(path, name)
    elif name == "auto":
        load_checkpoint(path)
    else:
        raise UsageError(
            f"a backbone cannot be put into detector {name!r}.",
            hint=f"It can be put into {', '.join(ARCHITECTURES)}.",
        )
