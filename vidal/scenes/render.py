"""A spec to frames with their exact truth, one at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vidal.scenes import background, figures
from vidal.scenes.camera import Camera, View
from vidal.scenes.light import Light, light_of
from vidal.scenes.paint import Canvas, Stroke
from vidal.scenes.props import Prop, build_props, paint_tree
from vidal.scenes.solids import solid_strokes
from vidal.scenes.statues import with_statues
from vidal.scenes.table import CLASSES, SceneSpec
from vidal.scenes.weather import build_optics, expose
from vidal.scenes.world import CAR, CYCLIST, PEDESTRIAN, Actor, World, build_world
from vidal.types import UNKNOWN, Annotations, FloatArray, Image, IntArray, frozen

VISIBLE = 50
"""An object with fewer visible pixels is not labelled (section 9.1 of the data set's paper)."""
LOOK = 1
"""Version of the pixels: goes up whenever a spec gives other ones than before."""
_SIGHT = 130.0


@dataclass(frozen=True, slots=True, eq=False)
class FrameTruth:
    """What is to be seen in one frame, by increasing track.

    Attributes:
        boxes: (n, 4) float32, the tight box of the visible pixels, half-open.
        labels: (n,) int64 into ``CLASSES``, -1 = an object of none of them.
        track: (n,) int64 identity within the clip.
        visible: (n,) int64 visible pixels, at least ``VISIBLE``.
    """

    boxes: FloatArray
    labels: IntArray
    track: IntArray
    visible: IntArray


def render(spec: SceneSpec) -> Iterator[tuple[Image, FrameTruth]]:
    """The frames of a clip (RGB uint8 (H, W, 3)) and their truth, in order.

    The pixels follow from the spec alone. No frame is kept: memory does not grow with length.
    """
    for image, truth, _ in render_ids(spec):
        yield image, truth


def render_ids(spec: SceneSpec) -> Iterator[tuple[Image, FrameTruth, Image]]:
    """As ``render``, with the id buffer: uint8 (H, W), 0 = no object.

    Objects are numbered 1, 2, ... within a frame, from far to near.
    """
    streams = np.random.SeedSequence(spec.seed).spawn(6)
    rng = [np.random.default_rng(stream) for stream in streams]
    light = light_of(spec, rng[0])
    world = build_world(spec, rng[1])
    if spec.statues:
        world = with_statues(spec, world, rng[5])
    backdrop = background.build_backdrop(spec, world, light, rng[2])
    props = build_props(spec, world, rng[3])
    optics = build_optics(spec, rng[4])
    camera = Camera.of(spec.size)
    for index in range(spec.frames):
        view = _view(camera, world, index)
        image, walls = background.draw(backdrop, view)
        canvas = Canvas(image, np.zeros(spec.size, dtype=np.uint8))
        tracks = _objects(canvas, view, light, world, props, walls, index)
        sweep = _sweep(camera, world, index)
        frame_rng = np.random.default_rng([spec.seed, 7, index])
        finished = expose(canvas.image, optics, frame_rng, sweep, index)
        yield finished, _truth(canvas, world, tracks), canvas.ids


def annotations(truths: Iterable[FrameTruth]) -> Annotations:
    """One clip's table from the truths of all its frames, in order."""
    rows = list(truths)
    frame = np.repeat(np.arange(len(rows)), [len(row.labels) for row in rows])

    def column(name: str, empty: tuple[int, ...]) -> np.ndarray:
        return np.concatenate([getattr(row, name) for row in rows] or [np.zeros(empty)])

    return Annotations(
        classes=CLASSES,
        labelled=np.ones(len(rows), dtype=np.bool_),
        frame=frame.astype(np.int64),
        boxes=column("boxes", (0, 4)).astype(np.float32),
        labels=column("labels", (0,)).astype(np.int64),
        track=column("track", (0,)).astype(np.int64),
        ignore=np.zeros(len(frame), dtype=np.bool_),
    )


def _view(camera: Camera, world: World, index: int) -> View:
    ego = world.ego
    return View(
        camera,
        float(ego.z[index]),
        float(ego.x[index]),
        float(ego.yaw[index]),
        camera.horizon + camera.focal * float(ego.pitch[index]),
        float(ego.curve[index]),
    )


def _sweep(camera: Camera, world: World, index: int) -> float:
    """Pixels the image moves sideways during half a frame."""
    if not index:
        return 0.0
    return 0.5 * camera.focal * float(world.ego.yaw[index] - world.ego.yaw[index - 1])


def _objects(
    canvas: Canvas, view: View, light: Light, world: World, props: list[Prop],
    walls: np.ndarray, index: int,
) -> dict[int, int]:  # fmt: skip
    """Paint everything from far to near; returns number -> position in ``world.actors``."""
    things = _in_sight(view, world, props, index)
    background.side_streets(canvas.image, view, light, world, walls)
    _shadows(canvas, view, light, things, index)
    empty = canvas.image.copy()
    tracks: dict[int, int] = {}
    for depth, at, thing in things:
        if isinstance(thing, Prop):
            if thing.tree is not None:
                paint_tree(canvas, view, light, thing, thing.tree)
            elif thing.strokes is not None:
                canvas.paint(thing.strokes(view, light), 0)
            continue
        number = len(tracks) + 1
        region = canvas.paint(_strokes(thing, view, light, index), number)
        if region is None:
            continue
        tracks[number] = at
        x1, y1, x2, y2 = region
        hidden = walls[x1:x2] < depth - 3.0
        if hidden.any():
            canvas.image[y1:y2, x1:x2][:, hidden] = empty[y1:y2, x1:x2][:, hidden]
            canvas.ids[y1:y2, x1:x2][:, hidden] = 0
    return tracks


def _in_sight(
    view: View, world: World, props: list[Prop], index: int
) -> list[tuple[float, int, Actor | Prop]]:
    """(depth, position, thing) of what may be in the image, from far to near.

    Positions count ``world.actors`` from 0 up and ``props`` from -1 down.
    """
    everything: list[Actor | Prop] = [*world.actors, *props]
    if not everything:
        return []
    foot = [(float(actor.x[index]), float(actor.z[index])) for actor in world.actors]
    place = np.array(foot + [(prop.x, prop.z) for prop in props])
    actors = len(world.actors)
    cars = [actor.label == CAR for actor in world.actors]
    depth = place[:, 1] - view.z
    nearest = np.where(np.array(cars + [False] * len(props)), -3.0, 1.2)
    pixels, _ = view.project(np.stack([place[:, 0], 0 * depth, place[:, 1]], axis=1))
    width = view.camera.size[1]
    # Nothing but what is right beside the camera reaches further than this from its centre.
    margin = 6.0 * view.camera.focal / np.maximum(depth - 4.0, 1.0)
    aside = np.abs(pixels[:, 0] - 0.5 * width) - 0.5 * width
    seen = np.flatnonzero((depth > nearest) & (depth < _SIGHT) & (aside < margin))
    positions = np.where(seen < actors, seen, actors - 1 - seen)
    order = np.lexsort((positions, -depth[seen]))
    return [
        (float(depth[seen[at]]), int(positions[at]), everything[seen[at]]) for at in order.tolist()
    ]


def _strokes(actor: Actor, view: View, light: Light, index: int) -> list[Stroke]:
    place = (float(actor.x[index]), float(actor.z[index]))
    heading, phase = float(actor.heading[index]), float(actor.phase[index])
    if actor.solid is not None:
        return solid_strokes(view, light, actor.solid, place, heading, phase)
    assert actor.look is not None
    side = abs(float(np.sin(heading)))
    if actor.label in (PEDESTRIAN, UNKNOWN):
        body = figures.walker(actor.look, phase, side, actor.moving)
    elif actor.label == CYCLIST:
        body = figures.cyclist(actor.look, phase, side, float(actor.way[index]) / 0.34)
    else:
        body = figures.wheelchair(actor.look, phase, side, float(actor.way[index]) / 0.31)
    return figures.figure_strokes(view, light, place, heading, body)


def _shadows(
    canvas: Canvas, view: View, light: Light, things: list[tuple[float, int, Actor | Prop]],
    index: int,
) -> None:  # fmt: skip
    """Darken the ground under everything that stands on it."""
    first = int(view.horizon) + 1
    shade = np.full((canvas.ids.shape[0] - first, canvas.ids.shape[1]), 255, dtype=np.uint8)
    tone = int(255 * (1 - light.shadow))
    for depth, _, thing in things:
        if depth > 60 or (isinstance(thing, Prop) and not thing.shadow):
            continue
        if isinstance(thing, Prop):
            x, z, half, long = thing.x, thing.z, thing.shadow, 0.6 * thing.shadow
        else:
            x, z = float(thing.x[index]), float(thing.z[index])
            half, long = (1.15, 2.4) if thing.label == CAR else (0.5, 0.35)
            if thing.label == CAR and abs(np.sin(thing.heading[index])) > 0.5:
                half, long = long, half
        corners = np.array([
            [x - half, 0.0, z - long], [x + half * 1.25, 0.0, z - long],
            [x + half * 1.25, 0.0, z + long], [x - half, 0.0, z + long],
        ])  # fmt: skip
        pixels, _ = view.project(corners)
        points = np.clip(pixels - (0, first), -8000, 8000).astype(np.int32)
        cv2.fillConvexPoly(shade, points, tone, cv2.LINE_AA)
    shade = cv2.blur(shade, (5, 3))
    ground = canvas.image[first:]
    cv2.multiply(ground, cv2.merge([shade, shade, shade]), ground, 1 / 255)


def _truth(canvas: Canvas, world: World, tracks: dict[int, int]) -> FrameTruth:
    found = []
    for number, at in tracks.items():
        box, pixels = canvas.visible(number)
        if pixels >= VISIBLE:
            actor = world.actors[at]
            found.append((actor.track, actor.label, pixels, box))
    found.sort()
    return FrameTruth(
        frozen([row[3] for row in found] if found else np.zeros((0, 4)), np.float32, (None, 4), ""),
        frozen([row[1] for row in found], np.int64, (None,), "labels"),
        frozen([row[0] for row in found], np.int64, (None,), "track"),
        frozen([row[2] for row in found], np.int64, (None,), "visible"),
    )
