"""Cars and boxes: convex faces in space, lit by their normals, seen in true perspective."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.scenes.camera import View
from vidal.scenes.figures import vivid
from vidal.scenes.light import Colour, Light
from vidal.scenes.paint import Array, Stroke

_CORNERS = 12
_DETAIL = 6.0
"""Below so many pixels a metre, every other detail is left out."""
_SUN = np.array([0.45, 0.8, -0.4])


@dataclass(frozen=True, slots=True)
class Solid:
    """A thing with flat faces, in its own coordinates (right, up, ahead), metres.

    Attributes:
        points: (V, 3).
        faces: (P, 12) rows of ``points``, in order around the face; the last one repeats.
        normals: (P, 3) outward.
        colours: (P, 3) RGB.
        glow: (P,) bool, lamps.
        inner: (P,) bool, details that lie within a face painted before.
        counts: (P,) corners of each face.
        rims: (R,) rows of ``points`` that turn with the wheels.
        hubs: (R, 3) the points they turn about.
    """

    points: Array
    faces: NDArray[np.int64]
    normals: Array
    colours: Array
    glow: NDArray[np.bool_]
    inner: NDArray[np.bool_]
    counts: NDArray[np.int64]
    rims: NDArray[np.int64]
    hubs: Array


Point = tuple[float, float, float]


class _Builder:
    """Collects faces."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float, float]] = []
        self.rows: list[list[int]] = []
        self.colours: list[Colour] = []
        self.marks: list[tuple[bool, bool]] = []
        self.normals: list[Array] = []
        self.rims: list[int] = []
        self.hubs: list[tuple[float, float, float]] = []

    def face(
        self,
        corners: list[tuple[float, float, float]],
        colour: Colour,
        outward: tuple[float, float, float],
        *,
        glow: bool = False,
        inner: bool = False,
    ) -> None:
        """A face; ``outward`` is any direction on its outer side."""
        first = len(self.points)
        self.points.extend(corners)
        self.rows.append(list(range(first, first + len(corners))))
        self.colours.append(colour)
        self.marks.append((glow, inner))
        at = np.array(corners)
        normal = np.cross(at[1] - at[0], at[-1] - at[0])
        normal /= max(float(np.linalg.norm(normal)), 1e-9)
        self.normals.append(normal if normal @ np.array(outward) >= 0 else -normal)

    def build(self) -> Solid:
        """The solid."""
        rows = [row + [row[-1]] * (_CORNERS - len(row)) for row in self.rows]
        marks = np.array(self.marks, dtype=np.bool_)
        return Solid(
            np.array(self.points),
            np.array(rows, dtype=np.int64),
            np.array(self.normals),
            np.array(self.colours, dtype=np.float64),
            marks[:, 0],
            marks[:, 1],
            np.array([len(row) for row in self.rows], dtype=np.int64),
            np.array(self.rims, dtype=np.int64),
            np.array(self.hubs, dtype=np.float64).reshape(-1, 3),
        )


_PAINT: tuple[Colour, ...] = (
    (205, 205, 208), (235, 235, 235), (30, 30, 34), (90, 94, 100), (150, 22, 24), (28, 60, 140),
    (60, 110, 170), (24, 84, 52), (190, 160, 40), (196, 96, 30), (120, 100, 80), (70, 30, 80),
)  # fmt: skip


def random_car(rng: Generator, *, night: bool) -> Solid:
    """A saloon, hatchback, estate or small van in a random paint, its lamps lit at night."""
    kind = int(rng.choice(4, p=[0.35, 0.3, 0.2, 0.15]))
    length = (4.5, 3.9, 4.6, 4.7)[kind] * float(rng.uniform(0.95, 1.05))
    top = (1.44, 1.5, 1.5, 1.9)[kind] * float(rng.uniform(0.97, 1.04))
    width = float(rng.uniform(1.72, 1.9))
    paint = np.array(_PAINT[rng.integers(len(_PAINT))]) if rng.random() < 0.7 else vivid(rng)
    base = np.clip(np.asarray(paint) + rng.normal(0, 8, 3), 12, 245)
    belt = 0.62 * top
    half = length / 2
    hood = (0.27, 0.24, 0.26, 0.17)[kind] * length
    trunk = (0.16, 0.02, 0.02, 0.01)[kind] * length
    slope = (0.5, 0.3, 0.35, 0.08)[kind]
    shape = _Shape(half, width / 2, belt, top, half - hood, -half + trunk, slope)
    builder = _Builder()
    colour = (float(base[0]), float(base[1]), float(base[2]))
    _body(builder, shape, colour)
    _ends(builder, shape, colour, night or rng.random() < 0.25, bool(rng.random() < 0.15))
    _cabin(builder, shape, colour)
    _car_wheels(builder, shape)
    return builder.build()


@dataclass(frozen=True, slots=True)
class _Shape:
    half: float
    side: float
    belt: float
    top: float
    screen: float
    back: float
    slope: float


def _body(builder: _Builder, s: _Shape, colour: Colour) -> None:
    low, x = 0.24, s.side
    mid = s.belt * 0.86
    dark = tuple(0.35 * c for c in colour)
    sill = (dark[0], dark[1], dark[2])
    builder.face(
        [(-x, mid, s.half), (x, mid, s.half), (x, s.belt, s.screen), (-x, s.belt, s.screen)],
        colour, (0, 1, 0.3),
    )  # fmt: skip
    builder.face(
        [(-x, s.belt, s.back), (x, s.belt, s.back), (x, s.belt * 0.97, -s.half),
         (-x, s.belt * 0.97, -s.half)],
        colour, (0, 1, -0.3),
    )  # fmt: skip
    for sign in (-1.0, 1.0):
        outline = [(low, -s.half), (low, s.half), (mid, s.half), (s.belt, s.screen),
                   (s.belt, s.back), (s.belt * 0.97, -s.half)]  # fmt: skip
        builder.face([(sign * x, y, z) for y, z in outline], colour, (sign, 0, 0))
        strip = [(low, -s.half), (low, s.half), (low + 0.12, s.half), (low + 0.12, -s.half)]
        builder.face([(sign * x, y, z) for y, z in strip], sill, (sign, 0, 0), inner=True)
        seam = [(0.36, 0.05 * s.half), (0.36, 0.07 * s.half), (s.belt, 0.07 * s.half),
                (s.belt, 0.05 * s.half)]  # fmt: skip
        builder.face([(sign * x, y, z) for y, z in seam], sill, (sign, 0, 0), inner=True)


def _ends(builder: _Builder, s: _Shape, colour: Colour, lamps: bool, braking: bool) -> None:
    """Front and rear: bumper, lamps, plate, grille."""
    x, low = s.side, 0.24
    dark: Colour = (0.3 * colour[0], 0.3 * colour[1], 0.3 * colour[2])
    for sign, top in ((1.0, s.belt * 0.86), (-1.0, s.belt * 0.97)):
        z, out = sign * s.half, (0.0, 0.0, sign)

        def quad(x1: float, x2: float, y1: float, y2: float, z: float = z) -> list[Point]:
            return [(x1, y1, z), (x2, y1, z), (x2, y2, z), (x1, y2, z)]

        builder.face(quad(-x, x, low, top), colour, out)
        builder.face(quad(-x, x, low, low + 0.14), dark, out, inner=True)
        plate: Colour = (225, 225, 215) if sign > 0 else (220, 200, 120)
        builder.face(quad(-0.26, 0.26, low + 0.2, low + 0.31), plate, out, inner=True)
        if sign > 0:
            builder.face(quad(-0.5, 0.5, 0.56, top - 0.08), (25, 25, 28), out, inner=True)
        lamp: Colour = (255, 248, 220) if lamps else (215, 218, 222)
        if sign < 0:
            lamp = (255, 60, 40) if lamps or braking else (150, 20, 20)
        for side in (-1.0, 1.0):
            inner_x, outer_x = side * (x - 0.42), side * (x - 0.05)
            spot = quad(inner_x, outer_x, top - 0.2, top - 0.04)
            builder.face(spot, lamp, out, glow=lamps or braking, inner=True)


def _cabin(builder: _Builder, s: _Shape, colour: Colour) -> None:
    x, xr = s.side * 0.96, s.side * 0.78
    front = s.screen - 0.75 * (s.top - s.belt) * 1.4
    rear = s.back + s.slope
    glass: Colour = (48, 58, 70)
    pale: Colour = (84, 98, 112)
    for zb, zt, sign in ((s.screen, front, 1.0), (s.back, rear, -1.0)):
        pane = [(-x, s.belt, zb), (x, s.belt, zb), (xr, s.top, zt), (-xr, s.top, zt)]
        builder.face(pane, colour, (0, 0.5, sign))
        m = 0.12
        inside = [_mix(pane, m, m), _mix(pane, 1 - m, m), _mix(pane, 1 - m, 1 - m),
                  _mix(pane, m, 1 - m)]  # fmt: skip
        builder.face(inside, glass, (0, 0.5, sign), inner=True)
        gloss = [_mix(pane, 0.55, m), _mix(pane, 0.7, m), _mix(pane, 0.45, 1 - m),
                 _mix(pane, 0.3, 1 - m)]  # fmt: skip
        builder.face(gloss, pale, (0, 0.5, sign), inner=True)
    roof = [(-xr, s.top, front), (xr, s.top, front), (xr, s.top, rear), (-xr, s.top, rear)]
    builder.face(roof, colour, (0, 1, 0))
    for sign in (-1.0, 1.0):
        flank = [(sign * x, s.belt, s.back), (sign * x, s.belt, s.screen),
                 (sign * xr, s.top, front), (sign * xr, s.top, rear)]  # fmt: skip
        builder.face(flank, colour, (sign, 0.2, 0))
        for left, right in ((0.08, 0.47), (0.52, 0.9)):
            window = [_mix(flank, left, 0.06), _mix(flank, right, 0.06),
                      _mix(flank, right, 0.86), _mix(flank, left, 0.86)]  # fmt: skip
            builder.face(window, glass, (sign, 0.2, 0), inner=True)


def _mix(quad: list[tuple[float, float, float]], u: float, v: float) -> tuple[float, float, float]:
    """The point at (u, v) of a quad: u along its first edge, v towards the opposite one."""
    a, b, c, d = (np.array(corner) for corner in quad)
    point = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c)
    return (float(point[0]), float(point[1]), float(point[2]))


WHEEL = 0.33


def _car_wheels(builder: _Builder, s: _Shape) -> None:
    tyre: Colour = (24, 24, 26)
    rim: Colour = (150, 152, 156)
    for sign in (-1.0, 1.0):
        for z in (-0.62 * s.half, 0.64 * s.half):
            for radius, colour, n in ((WHEEL, tyre, 12), (0.66 * WHEEL, rim, 5)):
                angles = np.arange(n) * (2 * pi / n)
                ring = [
                    (sign * s.side * 1.005, WHEEL + radius * sin(a), z + radius * cos(a))
                    for a in angles
                ]
                if n == 5:
                    builder.rims.extend(range(len(builder.points), len(builder.points) + n))
                    builder.hubs.extend([(sign * s.side * 1.005, WHEEL, z)] * n)
                builder.face(ring, colour, (sign, 0, 0), inner=n == 5)


def box(
    width: float, height: float, length: float, colour: Colour, *, bottom: float = 0.0,
    panel: Colour | None = None,
) -> Solid:  # fmt: skip
    """A cuboid; ``panel`` puts a framed field on its long sides and its ends."""
    builder = _Builder()
    x, z, low, top = width / 2, length / 2, bottom, bottom + height
    sides: tuple[tuple[list[tuple[float, float, float]], tuple[float, float, float]], ...] = (
        ([(-x, low, -z), (x, low, -z), (x, top, -z), (-x, top, -z)], (0, 0, -1)),
        ([(-x, low, z), (x, low, z), (x, top, z), (-x, top, z)], (0, 0, 1)),
        ([(-x, low, -z), (-x, low, z), (-x, top, z), (-x, top, -z)], (-1, 0, 0)),
        ([(x, low, -z), (x, low, z), (x, top, z), (x, top, -z)], (1, 0, 0)),
    )
    builder.face([(-x, top, -z), (x, top, -z), (x, top, z), (-x, top, z)], colour, (0, 1, 0))
    for corners, out in sides:
        builder.face(corners, colour, out)
        if panel is not None:
            field = [_mix(corners, 0.12, 0.45), _mix(corners, 0.88, 0.45),
                     _mix(corners, 0.88, 0.88), _mix(corners, 0.12, 0.88)]  # fmt: skip
            builder.face(field, panel, out, inner=True)
    return builder.build()


def solid_strokes(
    view: View,
    light: Light,
    solid: Solid,
    place: tuple[float, float],
    heading: float,
    turn: float = 0.0,
) -> list[Stroke]:
    """The strokes of a solid at world (x, z); faces that look away are left out.

    Args:
        view: the camera.
        light: of the scene.
        solid: what.
        place: world x and z of its centre.
        heading: radians, 0 = along the road.
        turn: of its wheels; unused by solids without wheels.
    """
    x, z = place
    tilt = heading + view.curve * (z - view.z)
    c, s = cos(tilt), sin(tilt)
    spin = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    points = solid.points
    if len(solid.rims):
        points = points.copy()
        arm = points[solid.rims] - solid.hubs
        points[solid.rims, 1] += (cos(turn) - 1) * arm[:, 1] - sin(turn) * arm[:, 2]
        points[solid.rims, 2] += (cos(turn) - 1) * arm[:, 2] + sin(turn) * arm[:, 1]
    world = points @ spin
    world += np.array([x, 0.0, z])
    pixels, _ = view.project(world)
    normals = solid.normals @ spin
    corners = pixels[solid.faces]
    eye = np.array([view.x, view.camera.height, view.z]) - world[solid.faces[:, 0]]
    eye[:, 0] -= 0.5 * view.curve * eye[:, 2] ** 2
    facing = (normals * eye).sum(axis=1) > 0
    if view.scale(z) < _DETAIL:
        facing &= ~solid.inner | solid.glow | (np.arange(len(facing)) % 2 == 0)
    tone = 0.62 + 0.38 * np.clip(normals @ _SUN, -0.25, 1.0)
    colours = solid.colours * np.where(solid.glow, 1.0, tone)[:, None]
    shaded = light.shade(colours, max(z - view.z, 0.0), x - view.x, solid.glow).tolist()
    return [
        Stroke(
            corners[at, : solid.counts[at]],
            (shaded[at][0], shaded[at][1], shaded[at][2]),
            inner=bool(solid.inner[at]),
        )
        for at in np.flatnonzero(facing).tolist()
    ]
