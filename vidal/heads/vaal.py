"""Which detections resemble nothing that is labelled: VAAL on features.

Sinha, Ebrahimi and Darrell, "Variational adversarial active learning", ICCV 2019. There a
convolutional autoencoder reads pixels; here a small one reads features of detections. All that was
annotated counts as labelled, unknown objects and background too: else they are asked for for ever.
The squared error and the divergence are both divided by the number of features: in the published
code the one is a mean and the other a sum, so that the divergence rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from vidal.heads.network import Scale, answers, seeded
from vidal.heads.options import VaalOptions
from vidal.types import FloatArray

_MOST = 20_000
"""Rows of the pool that the autoencoder learns from; all are answered."""


class _Autoencoder(nn.Module):
    """A variational autoencoder (Kingma and Welling, ICLR 2014) of one hidden layer each way."""

    def __init__(self, inputs: int, options: VaalOptions) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(inputs, options.width), nn.ReLU())
        self.mean = nn.Linear(options.width, options.latent)
        self.log_variance = nn.Linear(options.width, options.latent)
        self.decoder = nn.Sequential(
            nn.Linear(options.latent, options.width), nn.ReLU(), nn.Linear(options.width, inputs)
        )

    def code(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(rows)
        return self.mean(hidden), self.log_variance(hidden).clamp(-8, 8)

    def loss(self, rows: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        """Reconstruction and divergence, a feature; and the means of the codes."""
        mean, spread = self.code(rows)
        drawn = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
        error = ((self.decoder(drawn) - rows) ** 2).mean()
        divergence = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(dim=1).mean()
        return error + beta * divergence / rows.shape[1], mean


def _discriminator(options: VaalOptions) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(options.latent, options.width),
        nn.ReLU(),
        nn.Linear(options.width, options.width),
        nn.ReLU(),
        nn.Linear(options.width, 1),
    )


class _Judge(nn.Module):
    """Features -> the discriminator's logit of "labelled", by the mean of the code."""

    def __init__(self, vae: _Autoencoder, discriminator: nn.Module) -> None:
        super().__init__()
        self.vae, self.discriminator = vae, discriminator

    def forward(self, rows: Tensor) -> Tensor:
        logit: Tensor = self.discriminator(self.vae.code(rows)[0])
        return logit


def labelledness(
    labelled: NDArray[Any], pool: NDArray[Any], rng: Generator, options: VaalOptions
) -> FloatArray:
    """(N,) float32 in [0, 1]: how much a row of the pool looks labelled; low = ask.

    Args:
        labelled: (M, D), M >= 1.
        pool: (N, D).
        rng: of weights, order and codes.
        options: how.
    """
    if not len(pool):
        return np.zeros(0, np.float32)
    some = pool if len(pool) <= _MOST else pool[np.sort(rng.choice(len(pool), _MOST, False))]
    scale = Scale.of(np.concatenate([labelled.astype(np.float32), some.astype(np.float32)]))
    with seeded(int(rng.integers(2**62))):
        judge = _fitted(scale(labelled), scale(some), options)
    logits = answers(judge, scale, pool)[:, 0].astype(np.float64)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)


def _fitted(labelled: Tensor, pool: Tensor, options: VaalOptions) -> _Judge:
    vae, critic = _Autoencoder(labelled.shape[1], options), _discriminator(options)
    of_vae = torch.optim.Adam(vae.parameters(), lr=options.lr)
    of_critic = torch.optim.Adam(critic.parameters(), lr=options.lr)
    right = nn.functional.binary_cross_entropy_with_logits

    def some(rows: Tensor) -> Tensor:
        return rows[torch.randint(len(rows), (options.batch,))]

    def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    for _ in range(options.steps):
        for _ in range(2):
            both = torch.cat([some(labelled), some(pool)])
            loss, code = vae.loss(both, options.beta)
            seen = critic(code)
            update(of_vae, loss + options.fool * right(seen, torch.ones_like(seen)))
        both = torch.cat([some(labelled), some(pool)])
        with torch.no_grad():
            code, _ = vae.code(both)
        truth = torch.zeros(len(both), 1)
        truth[: options.batch] = 1.0
        update(of_critic, right(critic(code), truth))
    return _Judge(vae, critic).eval()
