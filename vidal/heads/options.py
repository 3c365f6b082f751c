"""How heads are trained. No torch here: the numbers are read by help texts and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """A head of one hidden layer, trained with Adam.

    Attributes:
        width: of the hidden layer.
        dropout: share of the hidden units that are dropped, in [0, 1).
        epochs: passes over what is labelled; more where these are fewer than ``least_steps`` steps.
        batch: items in a step.
        least_steps: a head that sees few items learns for at least so many steps.
        lr: rate of Adam; falls to 0 along a half cosine.
        weight_decay: of Adam.
        passes: stochastic passes of MC dropout (10: Gal et al. 2017, and the codes compared).
        members: of an ensemble (5: Beluch et al. 2018).
        votes: moments of a training at which labels are predicted.
        folds: a loss is learned from heads that have not seen the item.
    """

    width: int = 128
    dropout: float = 0.3
    epochs: int = 30
    batch: int = 64
    least_steps: int = 300
    lr: float = 5e-3
    weight_decay: float = 1e-4
    passes: int = 10
    members: int = 5
    votes: int = 30
    folds: int = 5


@dataclass(frozen=True, slots=True)
class VaalOptions:
    """VAAL on features (Sinha, Ebrahimi and Darrell, ICCV 2019): the code's numbers where they fit.

    Attributes:
        width: of hidden layers.
        latent: size of the code (32).
        beta: weight of the divergence from the prior (1).
        fool: weight of what teaches the encoder to fool the discriminator (1).
        lr: rate of Adam (5e-4).
        steps: of training; each has two updates of the autoencoder and one of the discriminator.
        batch: items of either side in a step.
    """

    width: int = 128
    latent: int = 32
    beta: float = 1.0
    fool: float = 1.0
    lr: float = 5e-4
    steps: int = 400
    batch: int = 64
