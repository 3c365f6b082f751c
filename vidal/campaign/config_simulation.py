"""The configuration of a simulation beyond that of a campaign."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from vidal.campaign.config_data import Balance, Model


class VariantTraining(Model):
    """What a variant may train otherwise.

    Attributes:
        pseudo_labels: as of ``training``; None = as all others.
    """

    pseudo_labels: dict[str, Any] | bool | None = None

    def given(self) -> dict[str, Any]:
        """The values that take the place of those of ``training``."""
        return {} if self.pseudo_labels is None else {"pseudo_labels": self.pseudo_labels}


class VariantConfig(Model):
    """A strategy under a name of its own: the campaign's selection with other values.

    Attributes:
        strategy: query strategy.
        options: of the strategy.
        expected: options of expected errors.
        coherence: of temporal coherence.
        known_only: what is likely an unknown object counts less.
        random_share: of each query that is drawn at random.
        training: options of training after the initial round, which all runs of a seed share:
            ``pseudo_labels``.
        balance: of the classes: lambda, or ``auto``.
        class_weights: class -> how many labels of it are wanted in proportion to others.
    """

    strategy: str
    options: dict[str, Any] = Field(default_factory=dict)
    expected: dict[str, Any] | None = None
    coherence: dict[str, Any] | None = None
    known_only: bool | None = None
    random_share: float | None = Field(default=None, ge=0, lt=1)
    balance: Balance = None
    class_weights: dict[str, float] | None = None

    training: VariantTraining = VariantTraining()

    def selection(self) -> dict[str, Any]:
        """The values that take the place of those of ``selection``."""
        own = self.model_dump(mode="json", exclude={"training"})
        return {name: value for name, value in own.items() if value is not None}


class MainConfig(Model):
    """The one comparison that is named before the run; all others are corrected for being many.

    Attributes:
        strategy: compared with the baseline.
        round: after which, from 0 = the initial labels.
    """

    strategy: str
    round: int = Field(gt=0)


class SimulationConfig(Model):
    """What only a simulation reads.

    Attributes:
        strategies: those that run where none are asked for; None = the configured one.
        seeds: how many runs of every strategy, where no number is asked for.
        variants: name -> a strategy with other values.
        main: the comparison named beforehand.
        all_data: options of training where all frames of the pool are labelled (more ``steps`` or
            ``epochs``: the reference is trained to convergence).
    """

    strategies: tuple[str, ...] | None = None
    seeds: int = Field(default=2, gt=0)
    variants: dict[str, VariantConfig] = Field(default_factory=dict)
    main: MainConfig | None = None
    all_data: dict[str, Any] = Field(default_factory=dict)
