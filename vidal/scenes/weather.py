"""Between scene and file: rain, defocus, motion blur, sensor noise, exposure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from vidal.scenes.paint import Picture, picture
from vidal.scenes.table import SceneSpec


@dataclass(frozen=True, slots=True)
class Optics:
    """What lens, sensor and rain add to a clip.

    Attributes:
        streaks: pictures of rain, taller and wider than the image; empty when dry.
        grain: one picture of noise around 128, larger than the image.
        blur: standard deviation of the defocus in pixels.
        vignette: (H, W, 3) uint8, 255 = no darkening.
    """

    streaks: tuple[Picture, ...]
    grain: Picture
    blur: float
    vignette: Picture


def build_optics(spec: SceneSpec, rng: Generator) -> Optics:
    """Draws the noise and the rain of a clip."""
    height, width = spec.size
    sigma = float(rng.uniform(7, 12) if spec.night else rng.uniform(2.5, 6))
    shape = (height + 96, width + 128, 3)
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = 0.75 * noise + 0.6 * cv2.GaussianBlur(noise, (3, 3), 0.8)
    grain = np.clip(128 + sigma * noise, 0, 255).astype(np.uint8)
    streaks: tuple[Picture, ...] = ()
    if spec.rain:
        streaks = tuple(_streaks(spec, rng, near) for near in (0, 1, 2))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = np.clip(255 * (1 - float(rng.uniform(0.03, 0.12)) * (x**2 + y**2)), 0, 255)
    vignette = np.repeat(fall.astype(np.uint8)[:, :, None], 3, axis=2)
    blur = float(rng.uniform(0.45, 0.85)) * height / 300
    return Optics(streaks, grain, blur, vignette)


def _streaks(spec: SceneSpec, rng: Generator, near: int) -> Picture:
    """One layer of drops; ``near`` ones are longer, brighter and fewer."""
    height, width = spec.size
    drops = np.zeros((2 * height, width + 128, 3), dtype=np.uint8)
    count = int((300, 120, 40)[near] * height * width / 144000 * rng.uniform(0.6, 1.5))
    slant = float(rng.uniform(-0.15, 0.15))
    length = (5, 11, 20)[near] * height / 300
    for x, y in rng.uniform((0, 0), (width + 128, 2 * height), (count, 2)):
        tone = int((34, 48, 62)[near] * rng.uniform(0.5, 1.2))
        reach = length * float(rng.uniform(0.6, 1.4))
        start, end = (int(x), int(y)), (int(x + slant * reach), int(y + reach))
        cv2.line(drops, start, end, (tone, tone, tone), 1 + (near == 2), cv2.LINE_AA)
    return drops


def expose(image: Picture, optics: Optics, rng: Generator, sweep: float, index: int) -> Picture:
    """The finished frame.

    Args:
        image: the scene (H, W, 3).
        optics: of the clip.
        rng: of this frame.
        sweep: how many pixels the image moves sideways during the exposure.
        index: of the frame.
    """
    height, width = image.shape[:2]
    wide = int(abs(sweep))
    if wide > 1:
        image = picture(cv2.blur(image, (min(wide, 9), 1)))
    image = picture(cv2.GaussianBlur(image, (3, 3), optics.blur))
    for near, drops in enumerate(optics.streaks):
        fall = int((23, 41, 67)[near] * height / 300 * index + rng.integers(0, 40))
        y = height - 1 - fall % height
        x = int(rng.integers(0, 128))
        image = picture(cv2.add(image, drops[y : y + height, x : x + width]))
    image = picture(cv2.multiply(image, optics.vignette, None, 1 / 255))
    y, x = int(rng.integers(0, 97)), int(rng.integers(0, 129))
    grain = optics.grain[y : y + height, x : x + width]
    return picture(cv2.addWeighted(image, 1.0, grain, 1.0, -128.0))
