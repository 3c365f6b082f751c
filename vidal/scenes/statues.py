"""Statues on the pavement: life-size people painted in one strong colour, objects of no class.

They look like what a detector of people was trained on, and it was shown none of them: what an
open-set strategy has to leave alone.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np
from numpy.random import Generator

from vidal.scenes.figures import Look
from vidal.scenes.light import Colour
from vidal.scenes.table import SceneSpec
from vidal.scenes.world import PEDESTRIAN, SIGHT, Actor, World
from vidal.types import UNKNOWN

SPACING = 4.0
"""Metres between the places of statues, on either side of the road."""
_PAINTS: tuple[Colour, ...] = (
    (240.0, 120.0, 20.0),
    (235.0, 205.0, 30.0),
    (215.0, 40.0, 40.0),
    (50.0, 90.0, 220.0),
    (30.0, 170.0, 80.0),
)
"""Chosen so that a detector of people finds about half of them, with any confidence."""


def with_statues(spec: SceneSpec, world: World, rng: Generator) -> World:
    """The world with statues, each place occupied with the probability ``spec.statues``.

    None on the highway, which has no pavement.
    """
    if not world.street.parking:
        return world
    actors = list(world.actors)
    frames = np.zeros(spec.frames)
    for side in (-1.0, 1.0):
        places = np.arange(5.0, float(world.ego.z[-1]) + SIGHT[PEDESTRIAN], SPACING)
        for place in places[rng.random(len(places)) < spec.statues].tolist():
            x = side * float(rng.uniform(*world.street.walking))
            z = place + float(rng.uniform(-1.2, 1.2))
            heading = frames + float(rng.uniform(-pi, pi))
            look, track = _painted(rng), len(actors)
            made = Actor(track, UNKNOWN, frames + x, frames + z, heading, frames, False, look, None)
            actors.append(made)
    return replace(world, actors=tuple(actors))


def _painted(rng: Generator) -> Look:
    """One colour all over, a little uneven."""
    paint = np.array(_PAINTS[rng.integers(len(_PAINTS))]) * float(rng.uniform(0.85, 1.1))

    def tone() -> Colour:
        red, green, blue = np.clip(paint * rng.uniform(0.93, 1.07), 0, 250).tolist()
        return red, green, blue

    return Look(
        height=float(rng.uniform(1.6, 2.0)),
        top=tone(),
        legs=tone(),
        skin=tone(),
        hair=tone(),
        shoes=tone(),
        coat=float(rng.choice([0.0, 0.25, 0.7])),
        bag=None,
        metal=tone(),
        build=float(rng.uniform(1.0, 1.3)),
    )
