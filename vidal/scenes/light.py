"""Light and air: what colour a thing shows at a distance, by day, at night and in rain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.scenes.table import SceneSpec

Colour = tuple[float, float, float]
NIGHT_GAIN = 0.3


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one clip.

    Attributes:
        gain: RGB factors of what the sky lights.
        beam: strength of the own headlights, 0 by day.
        haze: RGB colour of the air.
        density: haze a metre.
        shadow: how dark a shadow on the ground is, 0 = none.
    """

    gain: Colour
    beam: float
    haze: Colour
    density: float
    shadow: float

    def clear(self, depth: float | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Share of a thing's own colour that reaches the camera."""
        return np.exp(-self.density * np.asarray(depth))

    def headlight(
        self, depth: float | NDArray[np.floating[Any]], across: float
    ) -> NDArray[np.float64]:
        """Extra gain of things in the headlights: ``across`` metres aside at ``depth``."""
        depth = np.asarray(depth, dtype=np.float64)
        spread = 2.2 + 0.22 * depth
        return self.beam * np.exp(-((across / spread) ** 2)) / (1 + (depth / 26.0) ** 2)

    def shade(
        self,
        colours: NDArray[np.floating[Any]],
        depth: float,
        across: float,
        glow: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Colours (N, 3) as they look from ``depth`` metres; rows that ``glow`` keep their own."""
        lit = colours * (np.asarray(self.gain) + float(self.headlight(depth, across)))
        if glow is not None and self.beam:
            lit[glow] = colours[glow]
        clear = float(self.clear(depth))
        if glow is not None and self.beam:
            lit = lit * clear + np.asarray(self.haze) * (1 - clear)
            lit[glow] = colours[glow] * max(clear, 0.6)
        else:
            lit = lit * clear + np.asarray(self.haze) * (1 - clear)
        return np.minimum(lit, 255.0)


def light_of(spec: SceneSpec, rng: Generator) -> Light:
    """The light of a scene: its condition, with some variation."""
    vary = float(rng.uniform(0.85, 1.1))
    if spec.night:
        gain = NIGHT_GAIN * vary
        return Light((0.9 * gain, 0.95 * gain, 1.1 * gain), 0.75, (16.0, 18.0, 26.0), 0.004, 0.25)
    if spec.rain:
        tone = float(rng.uniform(150, 185))
        gain = 0.78 * vary
        density = float(rng.uniform(0.008, 0.022))
        return Light((gain, gain, 1.02 * gain), 0.0, (tone, tone, tone + 4), density, 0.25)
    if spec.condition == "winter":
        return Light(
            (0.95 * vary, 0.97 * vary, 1.02 * vary), 0.0, (205.0, 212.0, 222.0), 0.005, 0.4
        )
    if spec.condition == "fall":
        return Light((1.0 * vary, 0.95 * vary, 0.86 * vary), 0.0, (205.0, 195.0, 180.0), 0.005, 0.5)
    return Light((vary, vary, 0.97 * vary), 0.0, (195.0, 208.0, 222.0), 0.004, 0.5)
