"""The generation table and the plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from vidal.errors import UnknownName, UsageError
from vidal.scenes import SUBSETS, SceneSpec, Spawn, plan


def test_table_holds_the_published_rows() -> None:
    assert {name: row.sequences for name, row in SUBSETS.items()} == {
        "default": 150, "town": 36, "night": 6, "wheelchair": 5, "test": 85, "test-wheelchair": 12,
    }  # fmt: skip
    assert SUBSETS["default"].spawn == Spawn(0.30, 0.20, 0.35, 0.0)
    assert SUBSETS["town"].spawn == Spawn(0.30, 0.20, 0.35, 0.0)
    assert SUBSETS["night"].spawn == Spawn(0.0, 0.0, 0.35, 0.0)
    assert SUBSETS["wheelchair"].spawn == Spawn(0.20, 0.20, 0.0, 1.0)
    assert SUBSETS["default"].areas == ("city", "highway")
    assert SUBSETS["town"].areas == ("town",)
    assert SUBSETS["night"].conditions == ("night",)


def test_full_training_plan_has_the_published_counts() -> None:
    counts = Counter(spec.subset for spec in plan(197, 3))
    assert counts == {"default": 150, "town": 36, "night": 6, "wheelchair": 5}


def test_small_plan_is_rounded_by_largest_remainder() -> None:
    # 20 clips: 15.23, 3.65, 0.61, 0.51 -> 15 + 3, then the remainders .65 and .61.
    counts = Counter(spec.subset for spec in plan(20, 0))
    assert counts == {"default": 15, "town": 4, "night": 1}


def test_conditions_and_areas_of_a_subset_take_turns() -> None:
    pairs = Counter((spec.area, spec.condition) for spec in plan(16, 1, subset="default"))
    assert len(pairs) == 8
    assert set(pairs.values()) == {2}


@pytest.mark.parametrize("split", ["test", "test-wheelchair"])
def test_no_winter_in_the_test_splits(split: str) -> None:
    specs = plan(60, 5, split=split)
    assert "winter" not in {spec.condition for spec in specs}
    assert {spec.subset for spec in specs} == {split}


def test_wheelchairs_only_in_their_own_subsets() -> None:
    specs = plan(197, 0) + plan(60, 0, split="test") + plan(12, 0, split="test-wheelchair")
    for spec in specs:
        assert (spec.spawn.wheelchair > 0) == spec.subset.endswith("wheelchair")


def test_lengths_stay_in_range_and_vary() -> None:
    lengths = [spec.frames for spec in plan(100, 2)]
    assert min(lengths) >= 60
    assert max(lengths) <= 180
    assert len(set(lengths)) > 30


def test_same_seed_gives_the_same_plan_and_another_one_does_not() -> None:
    assert plan(10, 4) == plan(10, 4)
    assert plan(10, 4) != plan(10, 5)
    assert len({spec.seed for spec in plan(10, 4)}) == 10


def test_splits_of_one_seed_share_no_clip() -> None:
    train = {spec.seed for spec in plan(50, 0)}
    test = {spec.seed for spec in plan(50, 0, split="test")}
    assert not train & test


def test_shares_override_the_table() -> None:
    specs = plan(10, 0, shares={"town": 1, "wheelchair": 4})
    assert Counter(spec.subset for spec in specs) == {"town": 2, "wheelchair": 8}


def test_names_are_unique_and_say_area_and_condition() -> None:
    specs = plan(30, 0)
    assert len({spec.name for spec in specs}) == 30
    assert all(spec.name.startswith(f"{spec.area}-{spec.condition}") for spec in specs)


def test_unknown_names_and_impossible_values_are_refused() -> None:
    with pytest.raises(UnknownName, match="split"):
        plan(1, 0, split="val")
    with pytest.raises(UnknownName, match="subset"):
        plan(1, 0, subset="village")
    with pytest.raises(UsageError):
        plan(1, 0, frames=(10, 5))
    with pytest.raises(UsageError):
        plan(1, 0, shares={"town": -1})
    with pytest.raises(UnknownName, match="condition"):
        SceneSpec("a", condition="fog")
    with pytest.raises(UsageError):
        replace(SceneSpec("a"), frames=0)
    with pytest.raises(UsageError, match="seed"):
        SceneSpec("a", seed=-1)
    with pytest.raises(UsageError, match="seed"):
        plan(1, -1)
    with pytest.raises(UsageError):
        replace(SceneSpec("a"), size=(20, 480))
