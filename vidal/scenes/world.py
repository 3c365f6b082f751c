"""What moves: the camera car and the objects on their paths, for every frame of a clip.

Objects stand at fixed spawn positions, each occupied with its class's probability, and follow one
of the paths of their area from there. Everything is computed once, as arrays over the frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.random import Generator

from vidal.scenes.figures import Look, random_look
from vidal.scenes.paint import Array
from vidal.scenes.solids import WHEEL, Solid, random_car
from vidal.scenes.table import CLASSES, SceneSpec

CAR, PEDESTRIAN, CYCLIST, WHEELCHAIR = range(len(CLASSES))
SIGHT = (110.0, 65.0, 70.0, 50.0)
"""How far ahead objects of a class are put, in metres."""
SPACING = (17.0, 3.6, 10.0, 9.0)
"""Metres between spawn positions of a class (both sides of the road are filled separately)."""


@dataclass(frozen=True, slots=True)
class Street:
    """The lie of an area, in metres from the centre line.

    Attributes:
        ego: lane of the camera car.
        lanes: (x, +1 same way / -1 oncoming) of the other lanes' centres.
        parking: x of parked cars, left and right.
        cycling: x of cyclists, oncoming and same way.
        walking: range of the pavement on the right.
        road: half width of the carriageway.
        fronts: range of the house fronts.
        speed: range of the camera car's speed, m/s.
    """

    ego: float
    lanes: tuple[tuple[float, int], ...]
    parking: tuple[float, ...]
    cycling: tuple[float, float]
    walking: tuple[float, float]
    road: float
    fronts: tuple[float, float]
    speed: tuple[float, float]


STREETS = {
    "city": Street(
        1.8, ((1.8, 1), (-1.8, -1)), (-5.0, 5.0), (-3.7, 3.8), (6.6, 9.2), 6.1, (10.0, 11.5),
        (5.0, 12.0),
    ),
    "town": Street(
        1.7, ((1.7, 1), (-1.7, -1)), (4.4,), (-3.0, 3.5), (5.9, 7.6), 5.4, (10.5, 16.0), (4.0, 10.0)
    ),
    "highway": Street(
        0.0, ((0.0, 1), (-3.7, 1), (3.7, 1), (-13.0, -1), (-16.7, -1)), (), (0.0, 0.0), (0.0, 0.0),
        7.6, (60.0, 90.0), (20.0, 30.0),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ego:
    """The camera car's motion: arrays over the frames."""

    z: Array
    x: Array
    yaw: Array
    pitch: Array
    curve: Array
    speed: Array


@dataclass(frozen=True, slots=True)
class Actor:
    """One labelled object.

    Attributes:
        track: its identity in the clip.
        label: index into ``CLASSES``, -1 = none of them.
        x, z, heading: (F,) where it is and where it faces.
        way: (F,) metres it has come: drives steps, pedals and wheels.
        moving: does it ever move?
        look: of a person, or None.
        solid: of a car, or None.
    """

    track: int
    label: int
    x: Array
    z: Array
    heading: Array
    way: Array
    moving: bool
    look: Look | None
    solid: Solid | None

    @property
    def phase(self) -> Array:
        """(F,) radians of the gait, of the wheels for a car."""
        if self.label == CAR:
            return self.way / WHEEL
        return self.way * (2 * pi / (1.45 if self.label == PEDESTRIAN else 4.2))


@dataclass(frozen=True, slots=True)
class World:
    """The moving part of a scene.

    Attributes:
        street: its layout.
        ego: the camera car.
        actors: the objects.
        offered: number of spawn positions of each class.
        taken: how many of them were occupied.
        crossings: z of the side streets.
    """

    street: Street
    ego: Ego
    actors: tuple[Actor, ...]
    offered: tuple[int, ...]
    taken: tuple[int, ...]
    crossings: tuple[float, ...]


def ego_motion(spec: SceneSpec, street: Street, rng: Generator) -> Ego:
    """Speed profile, sway in the lane, bends, and the pitch of bumps and braking."""
    t = np.arange(spec.frames) / spec.rate
    mean = rng.uniform(*street.speed)
    amplitude, period, start = rng.uniform(0, 0.45), rng.uniform(4, 12), rng.uniform(0, 2 * pi)
    speed = mean * (1 + amplitude * np.sin(2 * pi * t / period + start))
    if street.parking and rng.random() < 0.25:
        speed = speed * np.clip(1 - t / rng.uniform(3.0, 6.0), 0.0, 1.0)
    gain = np.gradient(speed) * spec.rate if spec.frames > 1 else np.zeros(1)
    z = np.concatenate([[0.0], np.cumsum(speed[:-1])]) / spec.rate
    sway = rng.uniform(0.05, 0.3) * np.sin(2 * pi * t / rng.uniform(4, 9) + rng.uniform(0, 6))
    bend = rng.choice([0.0, 1.0]) * rng.uniform(-1, 1) / (450.0 if street.parking else 900.0)
    curve = bend * np.sin(2 * pi * z / rng.uniform(150, 400) + rng.uniform(0, 2 * pi))
    yaw = 6.0 * curve + rng.uniform(0.002, 0.012) * np.sin(
        2 * pi * t / rng.uniform(1.5, 4) + rng.uniform(0, 6)
    )
    bumps = 0.0016 * np.sin(2 * pi * t * rng.uniform(1.1, 1.9) + rng.uniform(0, 6))
    bumps += 0.0008 * np.sin(2 * pi * t * rng.uniform(3.0, 4.5))
    pitch = bumps * np.minimum(speed / 6.0, 1.5) - 0.002 * np.clip(gain, -4, 3)
    return Ego(z, street.ego + sway, yaw, pitch, curve, speed)


class _Cast:
    """Fills the spawn positions."""

    def __init__(self, spec: SceneSpec, street: Street, ego: Ego, rng: Generator) -> None:
        self.spec, self.street, self.ego, self.rng = spec, street, ego, rng
        self.t = np.arange(spec.frames) / spec.rate
        self.actors: list[Actor] = []
        self.offered, self.taken = [0] * len(CLASSES), [0] * len(CLASSES)

    def occupied(self, label: int, low: float, high: float, spacing: float) -> list[float]:
        """The occupied ones among the spawn positions from ``low`` to ``high``."""
        spawn = self.spec.spawn
        chance = (spawn.car, spawn.pedestrian, spawn.cyclist, spawn.wheelchair)[label]
        if self.spec.area == "highway" and label != CAR:
            return []
        places = np.arange(low, high, spacing)
        free = self.rng.random(len(places)) < chance
        self.offered[label] += len(places)
        self.taken[label] += int(free.sum())
        return [float(place) for place in places[free]]

    def add(self, label: int, x: Array, z: Array, heading: Array) -> None:
        """A new object with these paths."""
        steps = np.hypot(np.diff(x), np.diff(z))
        way = np.concatenate([[float(self.rng.uniform(0, 10))], steps]).cumsum()
        night = self.spec.night
        solid = random_car(self.rng, night=night) if label == CAR else None
        look = random_look(self.rng) if label != CAR else None
        moving = bool(len(steps) and steps.max() > 1e-3)
        track = len(self.actors)
        self.actors.append(Actor(track, label, x, z, heading, way, moving, look, solid))

    def straight(self, x: float, z: float, speed: float) -> tuple[Array, Array, Array]:
        """Along the road; a negative speed comes towards the camera."""
        wobble = 0.05 * np.sin(0.8 * self.t + self.rng.uniform(0, 6))
        heading = np.full(len(self.t), pi if speed < 0 else 0.0)
        return x + wobble, z + speed * self.t, heading

    def lanes(self, end: float) -> None:
        """Cars that drive, lane by lane, without running into each other or the camera car."""
        duration = float(self.t[-1]) if len(self.t) else 0.0
        highway = self.spec.area == "highway"
        for x, way in self.street.lanes:
            own = x == self.street.ego
            mean = float(self.ego.speed.mean())
            pace = mean * float(self.rng.uniform(0.9, 1.35)) + (2.0 if highway else 0.5)
            pace = max(pace, 4.0)
            reach = end + (duration * pace if way < 0 else 0.0)
            low = 14.0 if own else (-25.0 if way > 0 else 8.0)
            spacing = (1.5 if highway else 1.7) * SPACING[CAR]
            ahead = self.ego.z if own else np.full(len(self.t), -1e9)
            for place in self.occupied(CAR, low, reach, spacing):
                start = place + float(self.rng.uniform(-4, 4))
                speed = pace * way * (float(self.rng.uniform(0.75, 1.1)) if own else 1.0)
                path_x, z, heading = self.straight(x, start, speed)
                if own:
                    z = np.maximum(z, ahead + 8.5)
                    ahead = z
                offset = float(self.rng.uniform(-0.25, 0.25))
                self.add(CAR, path_x + offset, z, heading)

    def parked(self, end: float) -> None:
        """Cars at the kerb."""
        for x in self.street.parking:
            for place in self.occupied(CAR, 6.0, end, SPACING[CAR]):
                still = np.zeros(len(self.t))
                heading = still + (pi if x < 0 and self.rng.random() < 0.8 else 0.0)
                self.add(CAR, still + x + self.rng.uniform(-0.15, 0.15), still + place, heading)

    def crossing_cars(self, crossings: tuple[float, ...]) -> None:
        """Cars on the side streets: they cross far ahead of the camera car."""
        for z in crossings:
            for way in self.occupied(CAR, -1.0, 2.0, 2.0):
                arrival = float(np.searchsorted(self.ego.z, z - 16.0)) / self.spec.rate
                pace = float(self.rng.uniform(6, 10))
                latest = max(arrival - 3.0, 0.5)
                middle = float(self.rng.uniform(0.0, latest))
                x = np.sign(way) * pace * (self.t - middle)
                if arrival < middle + 14.0 / pace and self.ego.z[-1] > z - 20.0:
                    continue
                side = 1.7 if way < 0 else -1.7
                turn = np.full(len(self.t), np.sign(way) * pi / 2)
                self.add(CAR, x, np.full(len(self.t), z + side), turn)

    def people(self, end: float) -> None:
        """Pedestrians, cyclists and wheelchair users on both sides."""
        for side in (-1.0, 1.0):
            for place in self.occupied(PEDESTRIAN, 5.0, end, SPACING[PEDESTRIAN]):
                self._walker(PEDESTRIAN, side, place, (0.9, 1.7))
            for place in self.occupied(WHEELCHAIR, 6.0, end, SPACING[WHEELCHAIR]):
                self._walker(WHEELCHAIR, side, place, (0.7, 1.5))
            for place in self.occupied(CYCLIST, 7.0, end + 10, SPACING[CYCLIST]):
                x = self.street.cycling[int(side > 0)] + float(self.rng.uniform(-0.3, 0.3))
                if self.rng.random() < 0.12:
                    self._cross(CYCLIST, side, place, (3.0, 4.5))
                else:
                    speed = side * float(self.rng.uniform(2.8, 6.0))
                    self.add(CYCLIST, *self.straight(x, place, speed))

    def _walker(self, label: int, side: float, place: float, pace: tuple[float, float]) -> None:
        draw = self.rng.random()
        z = place + float(self.rng.uniform(-2.5, 2.5))
        x = side * float(self.rng.uniform(*self.street.walking))
        if draw < 0.16 and self._cross(label, side, z, pace):
            return
        if draw > 0.84:
            still = np.zeros(len(self.t))
            heading = still + float(self.rng.uniform(-pi, pi))
            self.add(label, still + x, still + z, heading)
            return
        speed = float(self.rng.choice([-1.0, 1.0]) * self.rng.uniform(*pace))
        self.add(label, *self.straight(x, z, speed))

    def _cross(self, label: int, side: float, z: float, pace: tuple[float, float]) -> bool:
        """Over the road from ``side``; refused where the camera car would come too close."""
        speed = float(self.rng.uniform(*pace))
        start = float(self.rng.uniform(-2.0, 6.0))
        x = side * (self.street.walking[0] + 1.0) - side * speed * np.maximum(self.t - start, 0.0)
        near = np.abs(z - self.ego.z - 2.5) < 7.0
        if (near & (np.abs(x - self.street.ego) < 2.6)).any():
            return False
        heading = np.full(len(self.t), -side * pi / 2)
        drift = 0.08 * self.t * float(self.rng.uniform(-1, 1))
        self.add(label, x, z + drift, heading)
        return True


def build_world(spec: SceneSpec, rng: Generator) -> World:
    """The street, the camera car and all objects of a scene."""
    street = STREETS[spec.area]
    ego = ego_motion(spec, street, rng)
    end = float(ego.z[-1])
    first = float(rng.uniform(30, 60))
    crossings: tuple[float, ...] = ()
    if street.parking:
        crossings = tuple(np.arange(first, end + 130.0, float(rng.uniform(70, 110))).tolist())
    cast = _Cast(spec, street, ego, rng)
    cast.lanes(end + SIGHT[CAR])
    cast.parked(end + SIGHT[CAR] - 30.0)
    cast.crossing_cars(crossings)
    cast.people(end + SIGHT[PEDESTRIAN])
    return World(street, ego, tuple(cast.actors), tuple(cast.offered), tuple(cast.taken), crossings)
