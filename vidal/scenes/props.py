"""What stands by the road and is no object: trees, lamps, bins, and things that look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.scenes.camera import View
from vidal.scenes.figures import bicycle, figure_strokes, vivid
from vidal.scenes.light import Colour, Light
from vidal.scenes.paint import Array, Canvas, Picture, Stroke, picture
from vidal.scenes.solids import Solid, box, solid_strokes
from vidal.scenes.table import SceneSpec
from vidal.scenes.world import World

Strokes = Callable[[View, Light], list[Stroke]]


@dataclass(frozen=True, slots=True)
class Tree:
    """A picture of a tree or bush.

    Attributes:
        colours: (H, W, 3) RGB, black where clear.
        cover: (H, W) 0..255.
        height: metres.
    """

    levels: tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...]
    height: float


@dataclass(frozen=True, slots=True)
class Prop:
    """Something by the road at world x, z; either strokes or a tree."""

    x: float
    z: float
    strokes: Strokes | None
    tree: Tree | None
    shadow: float


_LEAVES = {
    "spring": (70, 128, 48), "winter": (198, 202, 206), "fall": (188, 104, 34),
    "rain": (60, 104, 46), "night": (58, 98, 46),
}  # fmt: skip


def draw_tree(spec: SceneSpec, rng: Generator, *, bush: bool) -> Tree:
    """A crown of overlapping clumps, lit from above, on a trunk."""
    size = 160
    colours = np.zeros((size, size, 3), dtype=np.uint8)
    cover = np.zeros((size, size), dtype=np.uint8)
    leaf = np.array(_LEAVES[spec.condition], dtype=np.float64)
    leaf *= rng.uniform(0.8, 1.15)
    if spec.condition != "winter":
        leaf *= rng.uniform(0.85, 1.15, 3)
    trunk = (78, 60, 44)
    if not bush:
        stem = np.array([[74, 159], [86, 159], [83, 80], [77, 80]], dtype=np.int32)
        cv2.fillConvexPoly(colours, stem, trunk)
        cv2.fillConvexPoly(cover, stem, 255)
    bare = spec.condition == "winter" and not bush and rng.random() < 0.5
    middle, reach = (110.0, 40.0) if bush else (58.0, 42.0)
    if bare:
        _branches(colours, cover, rng)
    for at in range(0 if bare else 46):
        angle, far = rng.uniform(0, 2 * pi), float(rng.uniform(0, 1)) ** 0.5
        x = 80 + np.cos(angle) * far * (58 if bush else 48)
        y = middle + np.sin(angle) * far * reach
        radius = int(rng.uniform(9, 22))
        y = min(y, 158.0 - radius * 0.6)
        tone = 0.62 + 0.5 * (middle + reach - y) / (2 * reach) + 0.1 * (at / 46)
        rgb = np.clip(leaf * tone * rng.uniform(0.85, 1.15), 0, 250)
        centre = (int(x), int(y))
        cv2.circle(colours, centre, radius, rgb.tolist(), -1, cv2.LINE_AA)
        cv2.circle(cover, centre, radius, 255, -1)
    speckle = rng.normal(1.0, 0.12, (size, size, 1))
    colours = np.clip(colours * speckle, 0, 255).astype(np.uint8)
    colours[cover == 0] = 0
    levels: list[tuple[Picture, Picture]] = [(colours, cover)]
    for _ in range(4):
        levels.append((picture(cv2.pyrDown(levels[-1][0])), picture(cv2.pyrDown(levels[-1][1]))))
    tall = float(rng.uniform(1.0, 2.2) if bush else rng.uniform(4.5, 8.0))
    return Tree(tuple(levels), tall)


def _branches(colours: NDArray[np.uint8], cover: NDArray[np.uint8], rng: Generator) -> None:
    tips = [(80.0, 84.0, -pi / 2, 5.0)]
    for _ in range(40):
        x, y, angle, thick = tips.pop(0)
        for turn in (-1.0, 1.0):
            way = angle + turn * float(rng.uniform(0.2, 0.7))
            reach = float(rng.uniform(14, 26)) * (thick / 5.0) ** 0.4
            end = (x + np.cos(way) * reach, y + np.sin(way) * reach)
            points = ((int(x), int(y)), (int(end[0]), int(end[1])))
            cv2.line(colours, *points, (92, 78, 66), max(1, int(thick)), cv2.LINE_AA)
            cv2.line(cover, *points, 255, max(1, int(thick)), cv2.LINE_AA)
            tips.append((end[0], end[1], way, max(thick * 0.7, 1.0)))


def paint_tree(canvas: Canvas, view: View, light: Light, prop: Prop, tree: Tree) -> None:
    """Blend a tree into the canvas; it hides what it covers."""
    foot, depths = view.project(np.array([[prop.x, 0.0, prop.z]]))
    size = tree.height * view.scale(prop.z)
    if size < 3:
        return
    level = int(np.clip(np.floor(np.log2(160 / size)), 0, len(tree.levels) - 1))
    colours, cover = tree.levels[level]
    left, top = foot[0, 0] - size / 2, foot[0, 1] - size
    height, width = canvas.ids.shape
    x1, y1 = max(int(left), 0), max(int(top), 0)
    x2, y2 = min(int(left + size) + 2, width), min(int(top + size) + 2, height)
    if x1 >= x2 or y1 >= y2:
        return
    zoom = size / len(cover)
    move = np.array([[1 / zoom, 0.0, (x1 - left) / zoom], [0.0, 1 / zoom, (y1 - top) / zoom]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shape = (x2 - x1, y2 - y1)
    alpha = picture(cv2.warpAffine(cover, move, shape, flags=flags))
    leaves = picture(cv2.warpAffine(colours, move, shape, flags=flags))
    depth = float(depths[0])
    clear = float(light.clear(depth))
    gain = np.asarray(light.gain) + float(light.headlight(depth, prop.x - view.x))
    alpha3 = cv2.merge([alpha, alpha, alpha])
    lit = _tinted(leaves, gain * clear)
    veil = _tinted(picture(alpha3), np.asarray(light.haze) * (1 - clear) / 255)
    target = canvas.image[y1:y2, x1:x2]
    kept = cv2.multiply(target, cv2.bitwise_not(alpha3), None, 1 / 255)
    target[:] = cv2.add(cv2.add(kept, lit), veil)
    canvas.ids[y1:y2, x1:x2][alpha > 127] = 0


def _tinted(image: Picture, factors: Array) -> Picture:
    """The image times a factor for each channel."""
    return picture(cv2.transform(image, np.diag(factors)))


def _pole(x: float, z: float, height: float, parts: list[tuple[Array, Colour]]) -> Strokes:
    """A pole with flat parts (polygons in metres: right, up) on it."""

    def strokes(view: View, light: Light) -> list[Stroke]:
        foot, depths = view.project(np.array([[x, 0.0, z]]))
        scale = view.scale(z)
        colours = np.array([(88.0, 90.0, 92.0)] + [colour for _, colour in parts])
        lit = light.shade(colours, float(depths[0]), x - view.x).tolist()
        wide = 0.06 * scale
        stem = np.array([[-wide, 0], [wide, 0], [wide, -height * scale], [-wide, -height * scale]])
        result = [Stroke(foot[0] + stem, (lit[0][0], lit[0][1], lit[0][2]))]
        for (points, _), rgb in zip(parts, lit[1:], strict=True):
            shape = points * np.array([scale, -scale])
            result.append(Stroke(foot[0] + shape, (rgb[0], rgb[1], rgb[2])))
        return result

    return strokes


def _solid(x: float, z: float, solid: Solid, heading: float = 0.0) -> Strokes:
    def strokes(view: View, light: Light) -> list[Stroke]:
        return solid_strokes(view, light, solid, (x, z), heading)

    return strokes


def _bicycle(x: float, z: float, heading: float, metal: Colour) -> Strokes:
    body = bicycle(metal, 0.7)

    def strokes(view: View, light: Light) -> list[Stroke]:
        return figure_strokes(view, light, (x, z), heading, body)

    return strokes


def _disc(x: float, y: float, radius: float, corners: int) -> Array:
    angle = np.arange(corners) * (2 * pi / corners) + pi / corners
    return np.stack([x + radius * np.sin(angle), y + radius * np.cos(angle)], axis=1)


def _plate(left: float, right: float, low: float, high: float) -> Array:
    return np.array([[left, low], [right, low], [right, high], [left, high]])


def _lamp(x: float, z: float, night: bool) -> Strokes:
    side = -np.sign(x)
    head: Colour = (255.0, 236.0, 180.0) if night else (200.0, 204.0, 208.0)
    arm = _plate(min(0.0, side * 1.6), max(0.0, side * 1.6), 6.9, 7.02)
    lamp = _plate(min(side * 1.1, side * 1.8), max(side * 1.1, side * 1.8), 6.75, 6.95)
    head = (head[0] / 0.3, head[1] / 0.3, head[2] / 0.3) if night else head
    return _pole(x, z, 7.0, [(arm, (88.0, 90.0, 92.0)), (lamp, head)])


def _poster(x: float, z: float, rng: Generator) -> Strokes:
    """An advertisement with the picture of a person: a look-alike of a pedestrian."""
    ground, coat, hair = vivid(rng, 120, 245), vivid(rng), vivid(rng, 20, 120)
    return _pole(x, z, 0.6, [
        (_plate(-0.65, 0.65, 0.5, 2.3), (60.0, 62.0, 64.0)),
        (_plate(-0.57, 0.57, 0.58, 2.22), ground),
        (np.array([[-0.24, 0.62], [0.24, 0.62], [0.2, 1.55], [-0.2, 1.55]]), coat),
        (_disc(0.0, 1.74, 0.17, 8), (214.0, 164.0, 132.0)),
        (_disc(0.0, 1.84, 0.14, 6), hair),
    ])  # fmt: skip


def _sign(x: float, z: float, rng: Generator) -> Strokes:
    kind = int(rng.integers(3))
    red, white, blue = (196.0, 30.0, 34.0), (232.0, 232.0, 232.0), (30.0, 80.0, 170.0)
    shapes = (
        [(_disc(0, 2.4, 0.36, 12), red), (_disc(0, 2.4, 0.26, 12), white)],
        [(_disc(0, 2.3, 0.42, 3), red), (_disc(0, 2.3, 0.27, 3), white)],
        [(_plate(-0.32, 0.32, 2.0, 2.64), blue), (_plate(-0.12, 0.12, 2.12, 2.5), white)],
    )
    return _pole(x, z, 2.5, shapes[kind])


def _furniture(x: float, z: float, rng: Generator) -> tuple[Strokes, float]:
    """One of the things that stand on pavements, and the radius of its shadow."""
    kind = int(rng.choice(7, p=[0.2, 0.16, 0.14, 0.14, 0.16, 0.12, 0.08]))
    if kind == 0:
        return _solid(x, z, box(0.55, 1.0, 0.55, vivid(rng, 30, 150))), 0.45
    if kind == 1:
        return _sign(x, z, rng), 0.25
    if kind == 2:
        return _poster(x, z, rng), 0.7
    if kind == 3:
        heading = float(rng.choice([0.0, pi / 2])) + float(rng.uniform(-0.2, 0.2))
        return _bicycle(x, z, heading, vivid(rng)), 0.7
    if kind == 4:
        slim = box(0.35, float(rng.uniform(0.9, 1.7)), 0.35, vivid(rng))
        return _solid(x, z, slim), 0.35
    if kind == 5:
        kiosk = box(1.5, 1.4, 2.6, vivid(rng), bottom=0.15, panel=(52.0, 60.0, 70.0))
        return _solid(x, z, kiosk), 1.4
    bench = box(0.5, 0.12, 1.8, (120.0, 84.0, 52.0), bottom=0.42)
    return _solid(x, z, bench), 0.6


def build_props(spec: SceneSpec, world: World, rng: Generator) -> list[Prop]:
    """All the standing things of a scene."""
    street, end = world.street, float(world.ego.z[-1]) + 100.0
    trees = [draw_tree(spec, rng, bush=False) for _ in range(4)]
    bushes = [draw_tree(spec, rng, bush=True) for _ in range(3)]
    props: list[Prop] = []

    def tree(x: float, z: float, kinds: list[Tree]) -> None:
        pick = kinds[rng.integers(len(kinds))]
        props.append(Prop(x, z, None, pick, 0.22 * pick.height))

    if spec.area == "highway":
        for side in (-1.0, 1.0):
            for z in np.arange(4.0, end, 26.0):
                x = side * (11.5 if side > 0 else 21.5)
                if rng.random() < 0.75:
                    tree(x + side * float(rng.uniform(0, 9)), float(z), trees + bushes)
        for z in np.arange(10.0, end, 40.0):
            props.append(Prop(-8.3, float(z), _lamp(-8.3, float(z), spec.night), None, 0.3))
            if rng.random() < 0.5:
                x = 8.6
                props.append(Prop(x, float(z), _sign(x, float(z), rng), None, 0.3))
        props.extend(_rails(end))
        return props
    for side in (-1.0, 1.0):
        x = side * (street.road + 0.7)
        for z in np.arange(float(rng.uniform(3, 12)), end, 24.0):
            props.append(Prop(x, float(z), _lamp(x, float(z), spec.night), None, 0.3))
        for z in np.arange(float(rng.uniform(3, 10)), end, 11.0):
            if any(abs(z - crossing) < 6 for crossing in world.crossings):
                continue
            spot = side * float(rng.uniform(street.walking[0], street.walking[1]))
            if rng.random() < 0.55:
                strokes, radius = _furniture(spot, float(z), rng)
                props.append(Prop(spot, float(z), strokes, None, radius))
            if rng.random() < (0.45 if spec.area == "town" else 0.22):
                tree(x + side * (2.8 if spec.area == "town" else 0.2), float(z) + 4.0, trees)
            if spec.area == "town" and rng.random() < 0.6:
                tree(side * float(rng.uniform(8.6, 10.0)), float(z) + 2.0, bushes)
    return props


def _rails(end: float) -> list[Prop]:
    """Guard rails in pieces, so that they are painted in the right order."""

    def piece(x: float, z: float) -> Strokes:
        def strokes(view: View, light: Light) -> list[Stroke]:
            corners = [[x, 0.5, z], [x, 0.5, z + 8], [x, 0.8, z + 8], [x, 0.8, z]]
            pixels, depths = view.project(np.array(corners))
            grey = np.array([[150.0, 154.0, 158.0]])
            rgb = light.shade(grey, float(depths.mean()), x - view.x)[0].tolist()
            return [Stroke(pixels, (rgb[0], rgb[1], rgb[2]))]

        return strokes

    places = [(x, float(z)) for z in np.arange(0.0, end, 8.0) for x in (-6.6, -10.2, 8.2)]
    return [Prop(x, z, piece(x, z), None, 0.0) for x, z in places]
