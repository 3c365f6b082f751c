"""People on foot, on bicycles and in wheelchairs: jointed figures in motion.

A figure is a set of limbs (tapered segments) and wheels in its own coordinates: metres ahead of it,
to its right, and up. Turned by its heading and put at its place, far limbs are painted first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin

import numpy as np
from numpy.random import Generator

from vidal.scenes.camera import View
from vidal.scenes.light import Colour, Light
from vidal.scenes.paint import Array, Stroke


@dataclass(frozen=True, slots=True)
class Look:
    """How one person is built and dressed (colours RGB, 0..255).

    Attributes:
        height: metres.
        top, legs, skin, hair, shoes: colours.
        coat: how far the upper garment reaches down, 0 = hip, 1 = knee.
        bag: colour of a bag, or None.
        metal: colour of a bicycle's or wheelchair's frame.
        build: width factor.
    """

    height: float
    top: Colour
    legs: Colour
    skin: Colour
    hair: Colour
    shoes: Colour
    coat: float
    bag: Colour | None
    metal: Colour
    build: float


_SKIN = ((236, 188, 160), (224, 172, 136), (198, 142, 106), (141, 92, 64), (96, 62, 44))
_HAIR = ((40, 30, 24), (92, 62, 36), (180, 140, 80), (120, 120, 120), (150, 60, 30), (20, 20, 24))


def vivid(rng: Generator, low: float = 20.0, high: float = 235.0) -> Colour:
    """A random colour: half of them strong, half of them muted."""
    colour = rng.uniform(low, high, 3)
    if rng.random() < 0.5:
        colour = colour.mean() + 0.25 * (colour - colour.mean())
    return (float(colour[0]), float(colour[1]), float(colour[2]))


def random_look(rng: Generator) -> Look:
    """A person; one in six is a child."""
    child = rng.random() < 1 / 6
    return Look(
        height=float(rng.uniform(1.05, 1.4) if child else rng.normal(1.72, 0.08)),
        top=vivid(rng),
        legs=vivid(rng, 20, 130),
        skin=_SKIN[rng.integers(len(_SKIN))],
        hair=_HAIR[rng.integers(len(_HAIR))] if rng.random() < 0.8 else vivid(rng),
        shoes=vivid(rng, 15, 90),
        coat=float(rng.choice([0.0, 0.0, 0.25, 0.7])),
        bag=vivid(rng) if rng.random() < 0.35 else None,
        metal=vivid(rng, 30, 220),
        build=float(rng.uniform(0.9, 1.2)),
    )


@dataclass(slots=True)
class Body:
    """Limbs (ends (3,), radii, colour) and wheels (centre, radius, thickness, turn, colour)."""

    limbs: list[tuple[tuple[float, ...], tuple[float, ...], float, float, Colour]]
    wheels: list[tuple[tuple[float, float, float], float, float, float, Colour]]


def walker(look: Look, phase: float, side: float, moving: bool) -> Body:
    """Someone walking or standing; ``phase`` in radians of the gait, 2 pi = two steps.

    Args:
        look: the person.
        phase: of the walk cycle.
        side: 0 seen from ahead or behind, 1 seen from the side (the trunk is thinner then).
        moving: False = standing.
    """
    k = look.height / 1.75
    swing = 0.52 if moving else 0.05
    bob = 0.025 * cos(2 * phase) if moving else 0.0
    body = Body([], [])
    for sign, at in ((-1.0, phase), (1.0, phase + pi)):
        _leg(body, look, k, sign, swing * sin(at), swing * max(0.0, cos(at)) * 1.1, bob)
        _arm(body, look, k, sign, -0.75 * swing * sin(at), bob)
    width = (0.2 * (1 - side) + 0.125 * side) * k * look.build
    low = (0.9 - 0.42 * look.coat) * k + bob
    body.limbs.append(((0, 0, low), (0.02, 0, 1.40 * k + bob), width * 0.9, width, look.top))
    if look.bag is not None:
        bag = ((-0.16 * k, 0, 1.05 * k), (-0.16 * k, 0, 1.35 * k), 0.13 * k, 0.12 * k, look.bag)
        body.limbs.append(bag)
    _head(body, look, (0.04, 0.0, 1.62 * k + bob), k)
    return body


def cyclist(look: Look, phase: float, side: float, turn: float) -> Body:
    """Someone riding; ``phase`` of the pedals and ``turn`` of the wheels in radians."""
    body = bicycle(look.metal, turn)
    width = 0.19 * (1 - side) + 0.13 * side
    hip, shoulder = (-0.16, 0.0, 0.98), (0.22, 0.0, 1.42)
    for sign, at in ((-1.0, phase), (1.0, phase + pi)):
        foot = (0.02 + 0.17 * cos(at), 0.1 * sign, 0.32 + 0.17 * sin(at))
        knee = ((hip[0] + foot[0]) / 2 + 0.26, 0.1 * sign, (hip[2] + foot[2]) / 2 + 0.12)
        body.limbs.append(((hip[0], 0.09 * sign, hip[2]), knee, 0.085, 0.065, look.legs))
        body.limbs.append((knee, foot, 0.06, 0.045, look.legs))
        toe = (foot[0] + 0.14, foot[1], foot[2] - 0.03)
        body.limbs.append((foot, toe, 0.045, 0.04, look.shoes))
        hand = (0.5, 0.2 * sign, 1.04)
        elbow = (0.34, 0.24 * sign, 1.16)
        body.limbs.append(((0.2, 0.17 * sign, 1.4), elbow, 0.055, 0.045, look.top))
        body.limbs.append((elbow, hand, 0.042, 0.04, look.skin))
    body.limbs.append((hip, shoulder, width * 0.85, width, look.top))
    if look.bag is not None:
        body.limbs.append(((-0.2, 0, 1.1), (0.02, 0, 1.42), 0.13, 0.12, look.bag))
    _head(body, look, (0.34, 0.0, 1.62), 1.0)
    return body


def bicycle(metal: Colour, turn: float) -> Body:
    """A bicycle without a rider (a look-alike, not an object)."""
    black = (28.0, 28.0, 30.0)
    body = Body([], [])
    for at in (-0.52, 0.52):
        body.wheels.append(((at, 0.0, 0.34), 0.34, 0.045, turn, black))
    saddle, crank, head = (-0.18, 0.0, 0.9), (0.0, 0.0, 0.32), (0.42, 0.0, 0.88)
    rear, front = (-0.52, 0.0, 0.34), (0.52, 0.0, 0.34)
    for one, two in ((saddle, crank), (crank, head), (saddle, head), (saddle, rear)):
        body.limbs.append((one, two, 0.025, 0.025, metal))
    body.limbs.append((crank, rear, 0.022, 0.022, metal))
    body.limbs.append((head, front, 0.026, 0.026, metal))
    body.limbs.append(((0.46, -0.24, 1.03), (0.46, 0.24, 1.03), 0.02, 0.02, black))
    body.limbs.append((head, (0.46, 0.0, 1.03), 0.022, 0.022, metal))
    body.limbs.append(((-0.32, 0.0, 0.94), (-0.06, 0.0, 0.95), 0.045, 0.03, black))
    return body


def wheelchair(look: Look, phase: float, side: float, turn: float) -> Body:
    """Someone in a wheelchair, pushing its rims; ``turn`` of the big wheels in radians."""
    black = (34.0, 34.0, 38.0)
    body = Body([], [])
    for sign in (-1.0, 1.0):
        body.wheels.append(((-0.04, 0.29 * sign, 0.31), 0.31, 0.04, turn, black))
        body.wheels.append(((0.46, 0.22 * sign, 0.09), 0.09, 0.04, 3 * turn, black))
        b = 0.24 * sign
        for one, two in (
            ((-0.22, b, 0.48), (0.34, b, 0.5)),
            ((-0.24, b, 0.3), (-0.28, b, 1.0)),
            ((-0.28, b, 0.98), (-0.42, b, 0.98)),
            ((0.34, b, 0.5), (0.48, b, 0.12)),
            ((-0.1, b, 0.68), (0.22, b, 0.68)),
        ):
            body.limbs.append((one, two, 0.02, 0.02, look.metal))
    push = sin(phase)
    for sign in (-1.0, 1.0):
        b = 0.1 * sign
        body.limbs.append(((-0.1, b, 0.56), (0.36, b, 0.58), 0.085, 0.07, look.legs))
        body.limbs.append(((0.36, b, 0.58), (0.44, b, 0.16), 0.065, 0.05, look.legs))
        body.limbs.append(((0.44, b, 0.12), (0.58, b, 0.1), 0.05, 0.045, look.shoes))
        hand = (0.1 * push, 0.3 * sign, 0.62 + 0.03 * cos(phase))
        elbow = (-0.2 + 0.05 * push, 0.3 * sign, 0.84)
        body.limbs.append(((-0.12, 0.2 * sign, 1.06), elbow, 0.06, 0.05, look.top))
        body.limbs.append((elbow, hand, 0.045, 0.04, look.skin))
    width = (0.2 * (1 - side) + 0.14 * side) * look.build
    body.limbs.append(((-0.26, 0.0, 0.52), (-0.3, 0.0, 0.96), width, width, black))
    body.limbs.append(((-0.1, 0.0, 0.58), (-0.14, 0.0, 1.06), width * 0.95, width, look.top))
    _head(body, look, (-0.1, 0.0, 1.28), 0.98)
    return body


def _leg(
    body: Body, look: Look, k: float, sign: float, swing: float, bend: float, bob: float
) -> None:
    hip = (0.0, 0.09 * k * sign, 0.92 * k + bob)
    knee = (0.46 * k * sin(swing + 0.5 * bend), hip[1], hip[2] - 0.46 * k * cos(swing))
    back = swing - bend
    ankle = (knee[0] + 0.42 * k * sin(back), hip[1], max(knee[2] - 0.42 * k * cos(back), 0.05))
    toe = (ankle[0] + 0.18 * k, ankle[1], max(ankle[2] - 0.03, 0.03))
    thick = 0.085 * k * look.build
    body.limbs.append((hip, knee, thick, 0.8 * thick, look.legs))
    body.limbs.append((knee, ankle, 0.75 * thick, 0.55 * thick, look.legs))
    body.limbs.append((ankle, toe, 0.05 * k, 0.045 * k, look.shoes))


def _arm(body: Body, look: Look, k: float, sign: float, swing: float, bob: float) -> None:
    shoulder = (0.02, 0.21 * k * look.build * sign, 1.40 * k + bob)
    out = shoulder[1] * 1.12
    elbow = (shoulder[0] + 0.28 * k * sin(swing), out, shoulder[2] - 0.28 * k * cos(swing))
    fore = swing + 0.35
    hand = (elbow[0] + 0.26 * k * sin(fore), out, elbow[2] - 0.26 * k * cos(fore))
    body.limbs.append((shoulder, elbow, 0.058 * k, 0.05 * k, look.top))
    body.limbs.append((elbow, hand, 0.045 * k, 0.042 * k, look.skin))


def _head(body: Body, look: Look, at: tuple[float, float, float], k: float) -> None:
    a, b, y = at
    body.limbs.append(((a, b, y - 0.16 * k), (a, b, y - 0.06 * k), 0.05 * k, 0.06 * k, look.skin))
    body.limbs.append(((a, b, y - 0.05 * k), (a, b, y + 0.04 * k), 0.1 * k, 0.105 * k, look.skin))
    crown = (a - 0.03 * k, b, y + 0.06 * k)
    body.limbs.append((crown, (a - 0.04 * k, b, y + 0.1 * k), 0.108 * k, 0.085 * k, look.hair))


@lru_cache(maxsize=8)
def _circle(points: int) -> Array:
    angle = np.arange(points) * (2 * pi / points)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def figure_strokes(
    view: View, light: Light, place: tuple[float, float], heading: float, body: Body
) -> list[Stroke]:
    """The strokes of a figure at world (x, z) that faces ``heading`` (0 = along the road)."""
    x, z = place
    centre, depths = view.project(np.array([[x, 0.0, z]]))
    depth, scale = float(depths[0]), view.scale(z)
    # Seen from the camera, not along the road: a figure aside shows its flank.
    turn = heading - (centre[0, 0] - 0.5 * view.camera.size[1]) / view.camera.focal
    ahead, aside = np.array([sin(turn), cos(turn)]), np.array([cos(turn), -sin(turn)])
    ends = np.array([[limb[0], limb[1]] for limb in body.limbs], dtype=np.float64)
    radii = np.array([[limb[2], limb[3]] for limb in body.limbs])
    colours = np.array([limb[4] for limb in body.limbs], dtype=np.float64)
    across = ends[..., 0] * ahead[0] + ends[..., 1] * aside[0]
    away = (ends[..., 0] * ahead[1] + ends[..., 1] * aside[1]).mean(axis=1)
    pixels = centre[0] + scale * np.stack([across, -ends[..., 2]], axis=2)
    shaded = light.shade(colours * _limb_tone(away), depth, x - view.x)
    quads = _capsules(pixels, radii * scale)
    strokes = _wheels(light, body, centre[0], scale, ahead, aside, depth, x - view.x)
    split = sum(1 for wheel in body.wheels if wheel[0][1] * aside[1] >= 0)
    strokes_far, strokes_near = strokes[: 2 * split], strokes[2 * split :]
    limbs = [
        Stroke(quads[at], (shaded[at, 0], shaded[at, 1], shaded[at, 2]))
        for at in np.argsort(-away, kind="stable").tolist()
    ]
    return strokes_far + limbs + strokes_near


def _limb_tone(away: Array) -> Array:
    """Limbs on the far side are a little darker."""
    return (1.0 - 0.5 * np.clip(away, 0.0, 0.3))[:, None]


def _capsules(ends: Array, radii: Array) -> Array:
    """Segments (S, 2, 2) with end radii (S, 2) -> hexagons (S, 6, 2) around them."""
    along = ends[:, 1] - ends[:, 0]
    length = np.maximum(np.sqrt((along**2).sum(axis=1, keepdims=True)), 1e-6)
    along = along / length
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    first, second = radii[:, :1], radii[:, 1:]
    return np.stack(
        [
            ends[:, 0] + normal * first,
            ends[:, 0] - along * (0.7 * first),
            ends[:, 0] - normal * first,
            ends[:, 1] - normal * second,
            ends[:, 1] + along * (0.7 * second),
            ends[:, 1] + normal * second,
        ],
        axis=1,
    )


def _wheels(
    light: Light,
    body: Body,
    centre: Array,
    scale: float,
    ahead: Array,
    aside: Array,
    depth: float,
    across: float,
) -> list[Stroke]:
    """Two strokes a wheel, the rim and its spokes; wheels on the far side first."""
    strokes: list[Stroke] = []
    order = sorted(body.wheels, key=lambda wheel: wheel[0][1] * aside[1] < 0)
    for (a, b, y), radius, thick, turn, colour in order:
        hub = centre + scale * np.array([a * ahead[0] + b * aside[0], -y])
        rim = _circle(18) * (radius * scale) * np.array([ahead[0], 1.0])
        rgb = light.shade(np.array([colour, (150.0, 150.0, 155.0)]), depth, across)
        edge, spoke = ((c[0], c[1], c[2]) for c in rgb.tolist())
        strokes.append(Stroke(hub + rim, edge, thick * scale, closed=True))
        angles = turn + np.array([0.0, pi, pi, pi / 2, pi / 2, 1.5 * pi])
        reach = 0.9 * radius * scale
        ends = np.stack([np.cos(angles) * ahead[0], -np.sin(angles)], axis=1) * reach
        strokes.append(Stroke(hub + ends, spoke, max(0.012 * scale, 1.0)))
    return strokes
