"""VAAL: does an image look like those that are labelled?

Sinha, Ebrahimi and Darrell, "Variational adversarial active learning", ICCV 2019: a variational
autoencoder of all images and a discriminator that tells from the code whether an image is labelled;
the autoencoder tries to make both look labelled. Whatever the discriminator still tells apart is
unlike what is labelled. The published code adds the divergence up where it averages the error of
the pixels, so that its weight depends on the size of the batch; here both are means over images,
and ``beta`` weighs the divergence.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidal.images.recipes import VaalOptions
from vidal.images.training import Stock, autocast, drawing
from vidal.types import FloatArray

LATENT = 32
HIDDEN = 512


class Autoencoder(nn.Module):
    """Two convolutions of stride 2 down to a code, and back to the pixels."""

    def __init__(
        self, channels: int, size: tuple[int, int], width: int, bf16: bool = False
    ) -> None:
        super().__init__()
        self._bf16 = bf16
        self._size = size
        self._map = (2 * width, -(-size[0] // 4), -(-size[1] // 4))
        flat = int(np.prod(self._map))
        self.down = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.Flatten(),
        )
        self.code = nn.Linear(flat, 2 * LATENT)
        self.spread = nn.Linear(LATENT, flat)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        )

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, (N, LATENT) each."""
        with autocast(pixels.device, self._bf16):
            code = self.code(self.down(pixels))
        mean, log_variance = code.float().chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def decode(self, code: Tensor) -> Tensor:
        """Pixels of a code."""
        height, width = self._size
        with autocast(code.device, self._bf16):
            pixels = self.up(self.spread(code).view(-1, *self._map))
        return pixels.float()[:, :, :height, :width]


def labelledness(
    labelled: Stock,
    pool: Stock,
    shape: tuple[int, int, int],
    options: VaalOptions,
    seed: int,
    *,
    bf16: bool = False,
) -> FloatArray:
    """(N,) float32 in [0, 1]: how much each image of ``pool`` looks labelled; ask for the lowest.

    Args:
        labelled: n >= 1 images.
        pool: N images.
        shape: (H, W, C) of them.
        options: of the training.
        seed: of weights, order and codes.
        bf16: arithmetic of the autoencoder.
    """
    if not len(pool):
        return np.zeros(0, np.float32)
    device = pool.device
    rng = np.random.default_rng([seed, 3])
    with drawing(seed, device):
        vae = Autoencoder(shape[2], shape[:2], options.width, bf16).to(device)
        judge = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, 1),
        ).to(device)  # fmt: skip
        optimizers = [torch.optim.Adam(each.parameters(), lr=options.lr) for each in (vae, judge)]
        for _ in range(options.steps):
            for _ in range(2):
                both = _both(labelled, pool, options.batch, rng)
                _descend(optimizers[0], _vae_loss(vae, judge, both, options))
            both = _both(labelled, pool, options.batch, rng)
            _descend(optimizers[1], _judge_loss(vae, judge, both))
    vae.eval()
    with torch.inference_mode():
        found = [judge(vae.encode(batch)[0]).sigmoid()[:, 0].cpu() for batch in pool.batches()]
    return torch.cat(found).numpy()


def _both(labelled: Stock, pool: Stock, batch: int, rng: np.random.Generator) -> tuple[Tensor, int]:
    """Labelled images, then as many of the pool; and how many are labelled."""
    mine, theirs = (
        torch.from_numpy(rng.integers(len(stock), size=batch)) for stock in (labelled, pool)
    )
    return torch.cat([labelled.batch(mine), pool.batch(theirs)]), batch


def _vae_loss(
    vae: Autoencoder, judge: nn.Module, both: tuple[Tensor, int], options: VaalOptions
) -> Tensor:
    pixels, _ = both
    mean, log_variance = vae.encode(pixels)
    code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
    rebuilt = functional.mse_loss(vae.decode(code), pixels)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1).mean()
    per_pixel = pixels[0].numel()  # so that beta = 1 is the evidence bound, up to that factor
    logits = judge(mean)[:, 0]
    fooled = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return rebuilt + options.beta * divergence / per_pixel + options.adversary * fooled


def _judge_loss(vae: Autoencoder, judge: nn.Module, both: tuple[Tensor, int]) -> Tensor:
    pixels, count = both
    with torch.no_grad():
        mean, _ = vae.encode(pixels)
    logits = judge(mean)[:, 0]
    truth = (torch.arange(len(logits), device=logits.device) < count).float()
    return functional.binary_cross_entropy_with_logits(logits, truth)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
