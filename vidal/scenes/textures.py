"""Textures, drawn once a clip: the ground, house fronts, and the panorama of sky and skyline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from vidal.scenes.light import Light
from vidal.scenes.paint import Array, Picture, picture
from vidal.scenes.table import SceneSpec
from vidal.scenes.world import Street

GROUND_HALF = 20.0
GROUND_DENSITY = 14.0
GROUND_PERIOD = 48.0
LEVELS = 5
TILE_WIDTH, TILE_HEIGHT, TILE_DENSITY = 16.0, 24.0, 12.0
STYLES = 8
_GRASS = {
    "spring": (74, 122, 52), "winter": (222, 226, 230), "fall": (150, 104, 48),
    "rain": (62, 98, 50), "night": (60, 92, 48),
}  # fmt: skip


def noise(rng: Generator, height: int, width: int, octaves: tuple[int, ...]) -> Array:
    """(H, W) smooth noise with cells of these sizes in pixels, standard deviation about 1."""
    total = np.zeros((height, width), dtype=np.float32)
    for cell in octaves:
        small = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return total / len(octaves) ** 0.5


def to_picture(values: Array) -> Picture:
    """Floats -> uint8, clipped."""
    return np.clip(values, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Atlas:
    """Levels of a texture in one picture, coarser ones below.

    Attributes:
        picture: (H, W, 3).
        tops: row at which each level begins.
        scales: texels a metre of each level, along the rows.
    """

    picture: Picture
    tops: Array
    scales: Array


def ground_atlas(spec: SceneSpec, street: Street, light: Light, rng: Generator) -> Atlas:
    """The road from above, periodic in z; coarser levels are blurred along it."""
    width = int(2 * GROUND_HALF * GROUND_DENSITY)
    length = int(GROUND_PERIOD * GROUND_DENSITY)
    x = (np.arange(width) + 0.5) / GROUND_DENSITY - GROUND_HALF
    base = _ground_colours(spec, street, x, rng)[None] * np.ones((length, 1, 1))
    grain = noise(rng, length, width, (1, 3)) * 5 + noise(rng, length, width, (12, 60)) * 5
    calm = np.clip((GROUND_HALF - 1 - np.abs(x)) / 2, 0.15, 1)
    base += (grain * calm)[:, :, None]
    _patches(base, street, rng)
    _markings(base, spec, street)
    if spec.condition == "fall":
        _leaves(base, street, x, rng)
    base *= np.asarray(light.gain)
    level = to_picture(base)
    parts, tops, scales, top = [], [], [], 0
    for at in range(LEVELS):
        if at:
            smaller = cv2.resize(level, (width, length >> at), interpolation=cv2.INTER_AREA)
            level = picture(cv2.blur(smaller, (2 * at + 1, 1)))
        wrapped = np.concatenate([level[-2:], level, level[:2]])
        parts.append(wrapped)
        tops.append(top + 2.0)
        scales.append(GROUND_DENSITY / 2**at)
        top += len(wrapped)
    return Atlas(np.ascontiguousarray(np.concatenate(parts)), np.array(tops), np.array(scales))


def _ground_colours(spec: SceneSpec, street: Street, x: Array, rng: Generator) -> Array:
    """(W, 3) colour across the road."""
    asphalt = float(rng.uniform(70, 100)) * (0.75 if spec.rain else 1.0)
    colours = np.tile(np.array([asphalt, asphalt, asphalt + 3]), (len(x), 1))
    grass = np.array(_GRASS[spec.condition], dtype=np.float64)
    across = np.abs(x)
    if spec.area == "highway":
        verge = (x > street.road) | ((x < -6.0) & (x > -10.5)) | (x < -18.8)
        colours[verge] = grass
    else:
        paving = float(rng.uniform(125, 165)) * (0.8 if spec.rain else 1.0)
        walk = np.array([paving, 0.98 * paving, 0.95 * paving])
        if spec.condition == "winter":
            walk = walk * 0.5 + 112
        colours[across > street.road] = walk
        colours[(across > street.road) & (across < street.road + 0.25)] = walk * 1.2
        if spec.area == "town":
            colours[across > street.walking[1] + 0.5] = grass
    for lane, _ in street.lanes:
        for wheel in (-0.75, 0.75):
            track = np.exp(-(((x - lane - wheel) / 0.35) ** 2))
            if spec.condition == "winter":
                colours -= 16 * track[:, None]
            else:
                colours -= 7 * track[:, None]
    if spec.condition == "winter":
        road = across < street.road
        colours[road] = colours[road] * 0.82 + 34
    return colours


def _patches(base: Array, street: Street, rng: Generator) -> None:
    """Repairs, cracks and manholes."""
    length, width = base.shape[:2]
    for _ in range(16):
        x = int((rng.uniform(-street.road, street.road) + GROUND_HALF) * GROUND_DENSITY)
        z = int(rng.uniform(0, length))
        w, h = int(rng.uniform(4, 26)), int(rng.uniform(8, 90))
        base[z : z + h, x : x + w] += float(rng.uniform(-14, 8))
    for _ in range(8):
        middle = (rng.uniform(-street.road, street.road) + GROUND_HALF) * GROUND_DENSITY
        start = np.array([middle, rng.uniform(30, length - 30)])
        steps = rng.normal(0, 5, (9, 2)).cumsum(axis=0) + start
        cv2.polylines(base, [steps.astype(np.int32)], False, (48, 48, 50), 1)
    for at in rng.uniform((0.35, 0.05), (0.65, 0.95), (2, 2)) * (width, length):
        cv2.circle(base, (int(at[0]), int(at[1])), 5, (58, 56, 54), -1)


def _markings(base: Array, spec: SceneSpec, street: Street) -> None:
    length = len(base)
    white = 190.0 if spec.condition == "winter" else 215.0

    def line(x: float, wide: float, dash: tuple[float, float] | None) -> None:
        left = int((x - wide / 2 + GROUND_HALF) * GROUND_DENSITY)
        right = max(left + 2, int((x + wide / 2 + GROUND_HALF) * GROUND_DENSITY))
        z = np.arange(length) / GROUND_DENSITY
        rows = np.ones(length, dtype=bool) if dash is None else (z % dash[0]) < dash[1]
        patch = base[rows, left:right]
        base[rows, left:right] = 0.15 * patch + 0.85 * white

    if spec.area == "highway":
        for x in (-1.85, 1.85, -14.85):
            line(x, 0.2, (12.0, 4.5))
        for x in (-5.6, 5.6, -11.0, -18.6):
            line(x, 0.22, None)
        return
    line(0.0, 0.16, (6.0, 3.0))
    for x in street.parking:
        line(x - np.sign(x) * 1.15, 0.1, (6.0, 4.5) if spec.area == "city" else None)
    z_step = int(1.0 * GROUND_DENSITY)
    for side in (-1.0, 1.0):
        first = int((side * (street.road + 1.4) + GROUND_HALF) * GROUND_DENSITY)
        last = int((side * street.walking[1] + GROUND_HALF) * GROUND_DENSITY)
        low, high = min(first, last), max(first, last)
        base[::z_step, low:high] -= 14
        base[:, low:high:z_step] -= 10


def _leaves(base: Array, street: Street, x: Array, rng: Generator) -> None:
    length, width = base.shape[:2]
    count = 2600
    columns = rng.integers(0, width, count)
    rows = rng.integers(0, length, count)
    keep = np.abs(x[columns]) > street.road - rng.exponential(0.8, count)
    hues = np.array([(190, 110, 30), (160, 70, 24), (200, 150, 50)], dtype=np.float64)
    base[rows[keep], columns[keep]] = hues[rng.integers(0, 3, int(keep.sum()))]


@dataclass(frozen=True, slots=True)
class Fronts:
    """The house fronts of a clip.

    Attributes:
        atlas: tiles side by side: style 0 front, style 0 flank, style 1 front, ...
        eaves: (STYLES,) metres up to the roof.
        ridge: metres of roof above the eaves (0 = flat).
    """

    atlas: Atlas
    eaves: Array
    ridge: float


def front_atlas(spec: SceneSpec, light: Light, rng: Generator) -> Fronts:
    """House fronts: tall blocks in the city, houses with roofs in town."""
    town = spec.area == "town"
    eaves = rng.uniform(3.0, 6.4, STYLES) if town else rng.uniform(9.0, 23.0, STYLES)
    width, height = int(TILE_WIDTH * TILE_DENSITY), int(TILE_HEIGHT * TILE_DENSITY)
    tiles = []
    for style in range(STYLES):
        for flank in (False, True):
            tile = _front(spec, light, float(eaves[style]), flank, width, height, rng)
            tiles.append(tile)
    level = np.concatenate(tiles, axis=1)
    parts, tops, scales, top = [], [], [], 0
    for at in range(LEVELS - 1):
        if at:
            size = (level.shape[1] // 2, level.shape[0] // 2)
            level = picture(cv2.resize(level, size, interpolation=cv2.INTER_AREA))
        padded = np.zeros((len(level), width * len(tiles), 3), dtype=np.uint8)
        padded[:, : level.shape[1]] = level
        parts.append(padded)
        tops.append(float(top))
        scales.append(TILE_DENSITY / 2**at)
        top += len(level)
    atlas = Atlas(np.concatenate(parts), np.array(tops), np.array(scales))
    return Fronts(atlas, eaves, 2.4 if town else 0.0)


def _front(
    spec: SceneSpec, light: Light, eaves: float, flank: bool, width: int, height: int,
    rng: Generator,
) -> Picture:  # fmt: skip
    """One tile; its bottom row is the pavement."""
    wall = rng.uniform(90, 225, 3)
    wall = wall.mean() + float(rng.uniform(0.3, 1.1)) * (wall - wall.mean())
    tone = 0.72 if flank else 1.0
    tile = np.ones((height, width, 3)) * wall
    tile += noise(rng, height, width, (1, 8))[:, :, None] * 5
    tile *= np.linspace(1.06, 0.86, height)[:, None, None]
    if rng.random() < 0.35:
        tile[::4] -= 16
    tile *= tone * np.asarray(light.gain)

    def patch(x1: float, y1: float, x2: float, y2: float, colour: Array) -> None:
        rows = slice(int(height - y2 * TILE_DENSITY), int(height - y1 * TILE_DENSITY))
        tile[rows, int(x1 * TILE_DENSITY) : int(x2 * TILE_DENSITY)] = colour

    gain = tone * np.asarray(light.gain)
    storey = float(rng.uniform(2.8, 3.6))
    wide, tall = float(rng.uniform(0.9, 1.7)), float(rng.uniform(1.2, 1.9))
    lit_share = 0.35 if spec.night else 0.06
    frame = np.clip(wall * rng.choice([0.6, 1.3]), 0, 245) * gain
    pitch = TILE_WIDTH / int(rng.integers(5, 9))
    for base in np.arange(0.9, eaves - tall, storey):
        shop = base < 1.0 and spec.area == "city" and not flank
        for x in np.arange(pitch / 2, TILE_WIDTH, pitch):
            half = wide / 2 if not shop else 0.44 * pitch
            dark = np.array([46, 58, 72]) * float(rng.uniform(0.7, 1.5)) * gain
            lit = rng.random() < (lit_share * (2 if shop else 1))
            glass = np.array([235, 196, 120]) * float(rng.uniform(0.6, 1.0)) if lit else dark
            low, high = (0.4, 2.5) if shop else (base, base + tall)
            patch(x - half - 0.1, low - 0.1, x + half + 0.1, high + 0.1, frame)
            patch(x - half, low, x + half, high, glass)
            if shop:
                goods = rng.uniform(40, 230, 3) * (1.0 if lit else gain)
                patch(x - 0.6 * half, low, x - 0.6 * half + 0.5, high - 0.8, goods)
                patch(x + 0.2 * half, low + 0.3, x + 0.5 * half, high - 0.3, 0.6 * goods)
            elif rng.random() < 0.7:
                patch(x - 0.04, low, x + 0.04, high, frame)
        if shop:
            patch(0.0, 2.7, TILE_WIDTH, 3.1, rng.uniform(50, 220, 3) * gain)
    roof = np.array([150, 76, 58]) * float(rng.uniform(0.55, 1.15))
    if spec.condition == "winter":
        roof = roof * 0.25 + 165
    if spec.area == "town" and not flank:
        patch(0.0, eaves, TILE_WIDTH, TILE_HEIGHT, roof * gain)
    elif spec.area == "city":
        patch(0.0, eaves - 0.5, TILE_WIDTH, eaves, np.clip(wall * 1.25, 0, 240) * gain)
        patch(0.0, eaves, TILE_WIDTH, TILE_HEIGHT, roof * 0.6 * gain)
    return to_picture(tile)


def panorama(spec: SceneSpec, light: Light, rng: Generator, margin: int) -> Picture:
    """Sky with clouds and, at the horizon, a skyline or a wood; wider than the image.

    The horizon lies at row ``margin + 0.45 * H``; rows below it hold the colour of the haze.
    """
    height, width = spec.size
    rows, columns = int(0.45 * height) + 2 * margin, width + 6 * margin
    horizon = int(0.45 * height) + margin
    up = np.clip((horizon - np.arange(rows)) / horizon, 0, 1)[:, None, None]
    top, low = _sky_colours(spec, light)
    sky = low + (top - low) * up**0.7
    clouds = noise(rng, rows, columns // 2, (80, 40, 40, 18))
    wide = cv2.resize(clouds, (columns, rows), interpolation=cv2.INTER_CUBIC)
    clouds = np.asarray(wide, dtype=np.float64) + 0.12 * noise(rng, rows, columns, (7, 4))
    stretch = np.clip(clouds * 0.45 + float(rng.uniform(-0.3, 0.4)), 0, 1)[:, :, None]
    if spec.night:
        sky = sky + stretch * np.array([6.0, 6.0, 9.0])
        stars = rng.random((rows, columns)) < 0.0004
        sky[stars & (up[:, :, 0] > 0.25)] = 130.0
    elif spec.rain:
        sky = sky + (noise(rng, rows, columns, (80, 30))[:, :, None]) * 7
    else:
        white = np.array([244.0, 245.0, 248.0])
        sky = sky + (white - sky) * stretch * (0.35 + 0.5 * up)
    _skyline(sky, spec, light, horizon, rng)
    return to_picture(sky)


def _sky_colours(spec: SceneSpec, light: Light) -> tuple[Array, Array]:
    haze = np.asarray(light.haze)
    if spec.night:
        return np.array([8.0, 12.0, 26.0]), np.array([34.0, 36.0, 48.0])
    if spec.rain:
        return haze * 0.85, haze
    if spec.condition == "winter":
        return np.array([120.0, 160.0, 205.0]), haze
    if spec.condition == "fall":
        return np.array([104.0, 146.0, 196.0]), haze
    return np.array([66.0, 128.0, 205.0]), haze


def _skyline(sky: Array, spec: SceneSpec, light: Light, horizon: int, rng: Generator) -> None:
    """Layers of far buildings and trees, paler with distance."""
    columns = sky.shape[1]
    haze, gain = np.asarray(light.haze), np.asarray(light.gain)
    scale = spec.size[0] / 300
    for layer in range(3):
        clear = (0.25, 0.45, 0.7)[layer] * (0.6 if spec.rain else 1.0)
        if spec.area == "city" or (spec.area == "town" and layer == 0):
            x = 0
            while x < columns:
                wide = int(rng.uniform(8, 26) * scale)
                tall = int(rng.uniform(4, 24 - 5 * layer) * scale)
                own = float(rng.uniform(70, 150)) * gain
                sky[horizon - tall : horizon + 3, x : x + wide] = own * clear + haze * (1 - clear)
                x += wide
        else:
            ragged = noise(rng, 1, columns, (25, 9, 4))[0]
            tall = np.clip((9 + 5 * layer + 5 * ragged) * scale * (1, 1, 0.9)[layer], 2, None)
            leaf = np.array(_GRASS[spec.condition]) * (0.62, 0.72, 0.8)[layer] * gain
            own = leaf * clear + haze * (1 - clear)
            below = np.arange(len(sky))[:, None] > horizon - tall[None]
            texture = noise(rng, len(sky), columns, (2, 5))[:, :, None] * 9 * clear * gain
            sky[below] = (own + texture)[below]
    sky[horizon + 3 :] = haze
