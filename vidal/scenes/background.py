"""Sky, road and house fronts of one frame: two texture look-ups, no objects.

The road is a plane seen along rows of equal depth. House fronts are found by casting one ray a
column against the fronts and flanks of the houses, as in early raster games.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.scenes.camera import View
from vidal.scenes.light import Light
from vidal.scenes.paint import SHIFT, Array, Picture, fixed, picture
from vidal.scenes.table import SceneSpec
from vidal.scenes.textures import (
    GROUND_HALF,
    GROUND_PERIOD,
    LEVELS,
    STYLES,
    TILE_WIDTH,
    Atlas,
    Fronts,
    front_atlas,
    ground_atlas,
    panorama,
)
from vidal.scenes.world import World

_BEYOND = 1e6
_REACH = 180.0


@dataclass(frozen=True, slots=True)
class Houses:
    """The houses of one side of the street, as seen with that side to the right.

    Attributes:
        first, last: (B,) range along the road.
        front: (B,) distance of the front from the centre line.
        depth: (B,) metres from the front to the back.
        style: (B,) tile.
    """

    first: Array
    last: Array
    front: Array
    depth: Array
    style: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Backdrop:
    """All textures of a clip."""

    sky: Picture
    margin: int
    ground: Atlas
    fronts: Fronts
    sides: tuple[Houses, Houses] | None
    light: Light


def build_backdrop(spec: SceneSpec, world: World, light: Light, rng: Generator) -> Backdrop:
    """Draws the textures of a clip and places its houses."""
    margin = max(24, spec.size[0] // 10)
    sides = None
    if spec.area != "highway":
        sides = (_houses(spec, world, rng), _houses(spec, world, rng))
    return Backdrop(
        panorama(spec, light, rng, margin),
        margin,
        ground_atlas(spec, world.street, light, rng),
        front_atlas(spec, light, rng),
        sides,
        light,
    )


def _houses(spec: SceneSpec, world: World, rng: Generator) -> Houses:
    town = spec.area == "town"
    end = float(world.ego.z[-1]) + _REACH
    z, rows = -12.0, []
    while z < end:
        length = float(rng.integers(8, 16))
        hit = [c for c in world.crossings if z - 5.9 < c < z + length + 6.0]
        if hit:
            length = hit[0] - 6.0 - z
            if length >= 5.0:
                rows.append((z, z + length, *_plot(world, rng)))
            z = hit[0] + 6.0
            continue
        rows.append((z, z + length, *_plot(world, rng)))
        z += length + (float(rng.uniform(2.0, 12.0)) if town else float(rng.choice([0, 0, 0, 3])))
    table = np.array(rows)
    first, last, front, deep, style = table.T
    return Houses(first, last, front, deep, style.astype(np.int64))


def _plot(world: World, rng: Generator) -> tuple[float, float, float]:
    low, high = world.street.fronts
    return float(rng.uniform(low, high)), float(rng.uniform(9, 15)), float(rng.integers(STYLES))


@dataclass(frozen=True, slots=True)
class Walls:
    """What the rays hit: (W,) arrays over the image columns; depth is huge where nothing."""

    depth: Array
    top: Array
    tile_x: Array


def cast(backdrop: Backdrop, view: View) -> Walls:
    """The nearest house in each column."""
    width = view.camera.size[1]
    columns = (np.arange(width) + 0.5 - 0.5 * width) / view.camera.focal + view.yaw
    depth = np.full(width, _BEYOND)
    top, tile_x = np.zeros(width), np.zeros(width)
    if backdrop.sides is None:
        return Walls(depth, top, tile_x)
    for houses, sign in zip(backdrop.sides, (1.0, -1.0), strict=True):
        near = (houses.last > view.z + 1) & (houses.first < view.z + _REACH)
        if near.any():
            _cast_side(backdrop, view, houses, near, sign, columns, depth, top, tile_x)
    return Walls(depth, top, tile_x)


def _cast_side(
    backdrop: Backdrop, view: View, houses: Houses, near: NDArray[np.bool_], sign: float,
    columns: Array, depth: Array, top: Array, tile_x: Array,
) -> None:  # fmt: skip
    first, last = houses.first[near] - view.z, houses.last[near] - view.z
    front, deep, style = houses.front[near], houses.depth[near], houses.style[near]
    slope, own, curve = sign * columns[:, None], sign * view.x, sign * view.curve
    aside = (front - own)[None]
    root = np.sqrt(np.maximum(slope**2 - 2 * curve * aside, 0.0))
    below = slope + root
    reach = np.where(below > 1e-6, 2 * aside / np.maximum(below, 1e-6), _BEYOND)
    on_front = (reach >= first) & (reach <= last) & (slope**2 >= 2 * curve * aside)
    begin = np.maximum(first, 0.2)
    across = slope * begin + own - 0.5 * curve * begin**2 - front
    on_flank = (across >= 0) & (across <= deep) & (first > 0.5)
    hit = np.where(on_front, reach, np.where(on_flank, begin, _BEYOND))
    which = hit.argmin(axis=1)
    rows = np.arange(len(columns))
    found = hit[rows, which]
    closer = found < depth
    depth[closer] = found[closer]
    flank = ~on_front[rows, which]
    along = np.where(flank, across[rows, which], found - first[which])
    ridge = backdrop.fronts.ridge
    gable = 1 - np.abs(2 * along / deep[which] - 1)
    height = backdrop.fronts.eaves[style[which]] + ridge * np.where(flank, gable, 1.0)
    top[closer] = height[closer]
    tile = 2 * style[which] + flank
    at = tile * TILE_WIDTH + np.clip(along, 0.05, TILE_WIDTH - 0.1)
    tile_x[closer] = at[closer]


def draw(backdrop: Backdrop, view: View) -> tuple[Picture, Array]:
    """The empty scene (H, W, 3) and the depth of the house in each column (W,)."""
    height, width = view.camera.size
    image = np.empty((height, width, 3), dtype=np.uint8)
    walls = cast(backdrop, view)
    _sky(backdrop, view, image)
    _ground(backdrop, view, image)
    _fronts(backdrop, view, walls, image)
    return image, walls.depth


def _sky(backdrop: Backdrop, view: View, image: Picture) -> None:
    height, width = view.camera.size
    shift = view.yaw * view.camera.focal + 3 * backdrop.margin
    rise = int(0.45 * height) + backdrop.margin - view.horizon
    rows = min(int(view.horizon) + 3, height)
    move = np.array([[1.0, 0.0, shift], [0.0, 1.0, rise]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(backdrop.sky, move, (width, rows), image[:rows], flags, cv2.BORDER_REPLICATE)


def _ground(backdrop: Backdrop, view: View, image: Picture) -> None:
    height, width = view.camera.size
    first = int(np.ceil(view.horizon + 1.0))
    rows = np.arange(first, height) + 0.5
    focal, atlas = view.camera.focal, backdrop.ground
    depth = focal * view.camera.height / (rows - view.horizon)
    footprint = depth / (rows - view.horizon)
    level = np.clip(np.rint(np.log2(footprint * atlas.scales[0]) - 0.2), 0, LEVELS - 1)
    level = level.astype(np.int64)
    middle = view.x + depth * (view.yaw - 0.5 * view.curve * depth)
    columns = (np.arange(width) + 0.5 - 0.5 * width) / focal
    density = atlas.picture.shape[1] / (2 * GROUND_HALF)
    map_x = np.multiply.outer(depth * density, columns)
    map_x += ((middle + GROUND_HALF) * density - 0.5)[:, None]
    along = (view.z + depth) % GROUND_PERIOD
    map_y = atlas.tops[level] + along * atlas.scales[level] - 0.5
    map_y_full = np.broadcast_to(map_y[:, None].astype(np.float32), map_x.shape).copy()
    out = image[first:]
    cv2.remap(
        atlas.picture, map_x.astype(np.float32), map_y_full, cv2.INTER_LINEAR, out,
        cv2.BORDER_REPLICATE,
    )  # fmt: skip
    light = backdrop.light
    haze = np.asarray(light.haze)
    clear = light.clear(depth)
    if light.beam:
        gain = 1.0 + np.stack([light.headlight(d, 0.0) for d in depth]) / light.gain[1]
        spread = 2.2 + 0.22 * depth
        fall = np.exp(-np.minimum((columns * depth[:, None] / spread[:, None]) ** 2, 30))
        factor = ((1 + (gain[:, None] - 1) * fall) * (clear[:, None] * 48)).astype(np.float32)
        _scale(out, np.minimum(factor, 255).astype(np.uint8), 1 / 48)
    else:
        fade = np.broadcast_to((clear * 255).astype(np.uint8)[:, None], map_x.shape)
        _scale(out, fade, 1 / 255)
    veil = ((1 - clear)[:, None] * haze)[:, None].astype(np.uint8)
    cv2.add(out, np.broadcast_to(veil, out.shape).copy(), out)


def _scale(image: Picture, factor: NDArray[np.uint8], unit: float) -> None:
    """image *= factor * unit, in place; ``factor`` is (H, W)."""
    cv2.multiply(image, cv2.merge([factor, factor, factor]), image, unit)


def _fronts(backdrop: Backdrop, view: View, walls: Walls, image: Picture) -> None:
    hit = walls.depth < _BEYOND
    if not hit.any():
        return
    camera, atlas = view.camera, backdrop.fronts.atlas
    where = np.flatnonzero(hit)
    left, right = int(where[0]), int(where[-1]) + 1
    depth = walls.depth[left:right]
    solid = depth < _BEYOND
    base = view.horizon + camera.focal * camera.height / depth[solid].min()
    rows = np.arange(0, min(int(base) + 1, camera.size[0])) + 0.5
    up = camera.height - np.multiply.outer(
        (rows - view.horizon).astype(np.float32), (depth / camera.focal).astype(np.float32)
    )
    inside = (up >= 0) & (up <= walls.top[left:right].astype(np.float32)) & solid
    texel = atlas.scales[0] * depth / camera.focal
    level = np.clip(np.rint(np.log2(np.maximum(texel, 1e-3)) - 0.1), 0, LEVELS - 2)
    level = level.astype(np.int64)
    scale = atlas.scales[level]
    bottom = atlas.tops[level] + 24.0 * scale - 0.5
    map_y = bottom.astype(np.float32) - up * scale.astype(np.float32)
    map_x = (walls.tile_x[left:right] * scale - 0.5).astype(np.float32)
    map_x = np.broadcast_to(map_x, up.shape).copy()
    drawn = picture(cv2.remap(atlas.picture, map_x, map_y, cv2.INTER_LINEAR))
    light = backdrop.light
    clear = light.clear(np.minimum(depth, 1e3))
    gain = clear
    if light.beam:
        across = (np.arange(left, right) + 0.5 - 0.5 * camera.size[1]) / camera.focal * depth
        extra = np.array([light.headlight(d, a) for d, a in zip(depth, across, strict=True)])
        gain = clear * (1 + 0.6 * extra / light.gain[1])
    factor = np.minimum(gain * 96, 255).astype(np.uint8)
    _scale(drawn, np.broadcast_to(factor, drawn.shape[:2]).copy(), 1 / 96)
    veil = ((1 - clear)[:, None] * np.asarray(light.haze)).astype(np.uint8)[None]
    cv2.add(drawn, np.broadcast_to(veil, drawn.shape).copy(), drawn)
    cv2.copyTo(drawn, inside.view(np.uint8), image[: len(rows), left:right])


def side_streets(image: Picture, view: View, light: Light, world: World, walls: Array) -> None:
    """Asphalt from the kerb into the side streets, behind whatever house stands nearer."""
    edge, far = world.street.road, world.street.road + 40.0
    tone = np.array([[78.0, 78.0, 80.0]])
    for z in world.crossings:
        depth = z - view.z
        if not 6.0 < depth < 90.0:
            continue
        rgb = light.shade(tone, depth, 0.0)[0].tolist()
        before = image.copy()
        for side in (-1.0, 1.0):
            corners = np.array([
                [side * edge, 0.0, z - 3.6], [side * far, 0.0, z - 3.6],
                [side * far, 0.0, z + 3.6], [side * edge, 0.0, z + 3.6],
            ])  # fmt: skip
            pixels, _ = view.project(corners)
            cv2.fillConvexPoly(image, fixed(pixels), rgb, cv2.LINE_AA, SHIFT)
        hidden = walls < depth - 4.0
        image[:, hidden] = before[:, hidden]
