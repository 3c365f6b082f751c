"""What moves, without pixels."""

from __future__ import annotations

import numpy as np
import pytest

from vidal.scenes.table import SUBSETS, SceneSpec
from vidal.scenes.world import (
    CAR,
    CYCLIST,
    PEDESTRIAN,
    WHEELCHAIR,
    World,
    build_world,
)


def world(seed: int, subset: str = "default", area: str = "city", frames: int = 150) -> World:
    spec = SceneSpec(
        "a", subset=subset, area=area, spawn=SUBSETS[subset].spawn, frames=frames, seed=seed
    )
    return build_world(spec, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("subset", "area", "expected"),
    [
        ("default", "city", (0.35, 0.30, 0.20, 0.0)),
        ("town", "town", (0.35, 0.30, 0.20, 0.0)),
        ("night", "city", (0.35, 0.0, 0.0, 0.0)),
        ("wheelchair", "town", (0.0, 0.20, 0.20, 1.0)),
    ],
)
def test_spawn_positions_are_occupied_with_the_probabilities_of_the_subset(
    subset: str, area: str, expected: tuple[float, ...]
) -> None:
    offered, taken = np.zeros(4), np.zeros(4)
    for seed in range(60):
        scene = world(seed, subset, area, frames=20)
        offered += scene.offered
        taken += scene.taken
    spread = 4 * np.sqrt(np.array(expected) * (1 - np.array(expected)) / offered)
    assert (np.abs(taken / offered - expected) <= spread).all()


def test_highway_holds_only_cars() -> None:
    labels = {actor.label for seed in range(10) for actor in world(seed, area="highway").actors}
    assert labels == {CAR}


def test_no_object_moves_faster_than_its_kind() -> None:
    limit = {CAR: 45.0, PEDESTRIAN: 2.2, CYCLIST: 7.0, WHEELCHAIR: 2.0}
    for seed in range(12):
        for subset, area in (("default", "city"), ("wheelchair", "town"), ("default", "highway")):
            for actor in world(seed, subset, area).actors:
                pace = np.hypot(np.diff(actor.x), np.diff(actor.z)) * 25
                assert pace.max() <= limit[actor.label]


def test_nobody_is_run_over() -> None:
    for seed in range(30):
        scene = world(seed)
        for actor in scene.actors:
            ahead = actor.z - scene.ego.z
            beside = np.abs(actor.x - scene.ego.x)
            half = 1.9 if actor.label == CAR else 0.9
            assert not ((np.abs(ahead) < 2.0) & (beside < half)).any()


def test_cars_of_one_lane_keep_apart() -> None:
    for seed in range(20):
        scene = world(seed, area="highway")
        cars = [actor for actor in scene.actors if abs(actor.x[0] - scene.street.ego) < 0.5]
        for one in cars:
            for other in cars:
                if one is not other:
                    assert np.abs(one.z - other.z).min() > 5.0


def test_gait_follows_the_way_that_was_walked() -> None:
    scene = world(3)
    walker = next(actor for actor in scene.actors if actor.label == PEDESTRIAN and actor.moving)
    metres = np.hypot(np.diff(walker.x), np.diff(walker.z)).sum()
    assert walker.phase[-1] - walker.phase[0] == pytest.approx(metres * 2 * np.pi / 1.45)


def test_camera_car_never_drives_backwards() -> None:
    for seed in range(40):
        ego = world(seed).ego
        assert (np.diff(ego.z) >= 0).all()
        assert (ego.speed >= 0).all()
