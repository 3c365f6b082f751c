"""What every query strategy has to satisfy: vidal's own pass this suite, and yours can, too.

from vidal.testing import StrategyContract

class TestMine(StrategyContract):
    strategy = Mine
"""

from __future__ import annotations

import inspect
import math
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest

from vidal.errors import UsageError, VidalError
from vidal.protocols import Learner, Scorer, Selector
from vidal.query.options import Preset, build, convert, options_of, summary
from vidal.query.select import lift
from vidal.query.within import select_within
from vidal.testing.pools import (
    CLASSES,
    COLUMNS,
    EMPTY,
    OTHER_NEEDS,
    REGION_COLUMNS,
    a_pool,
    a_trunk,
    completed,
    distances,
    generator,
    joined,
    some_items,
    some_regions,
)
from vidal.types import AnyGap, FrameSet, Pool

__all__ = [
    "CLASSES",
    "COLUMNS",
    "EMPTY",
    "OTHER_NEEDS",
    "REGION_COLUMNS",
    "StrategyContract",
    "a_pool",
    "completed",
    "distances",
    "generator",
    "joined",
    "some_items",
    "some_regions",
]


class StrategyContract:
    """Subclass it as ``Test...``, name the strategy, and let pytest run it.

    Attributes:
        strategy: the frozen dataclass, a ``Scorer`` or a ``Selector``; built from its defaults.
        neighbours_allowed: True where it may choose frames within the gap of each other.
        clips_in_turn: False where it does not take clips in turn.
    """

    strategy: ClassVar[type | Preset[Any]]
    neighbours_allowed: ClassVar[bool] = False
    clips_in_turn: ClassVar[bool] = True

    def built(self, gap: AnyGap = 2, **options: Any) -> Selector:
        """The strategy as ``vidal select`` builds it."""
        return lift(build(self.strategy, options), gap)

    def pool(self, *args: Any, **kwargs: Any) -> Pool:
        """A synthetic pool, with what the strategy learns where it does."""
        return completed(a_pool(*args, **kwargs), self.built())

    def test_is_a_frozen_dataclass_with_a_docstring(self) -> None:
        made = self.strategy()
        assert is_dataclass(made)
        assert inspect.getdoc(type(made))
        assert summary(self.strategy).endswith(".")
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(made, "anything", 1)  # noqa: B010

    def test_is_a_scorer_or_a_selector_and_lifts_to_a_selector(self) -> None:
        assert isinstance(self.strategy(), Scorer)
        assert isinstance(self.built(), Selector)

    def test_every_option_has_a_default_of_its_type_and_a_help_text(self) -> None:
        for option in options_of(self.strategy):
            assert option.help, option.name
            assert convert(option, option.default) == option.default
            if isinstance(option.default, int | float | str):
                assert convert(option, str(option.default)) == option.default

    def test_every_field_is_an_option_or_marked_as_none(self) -> None:
        options = {option.name for option in options_of(self.strategy)}
        hidden = self.strategy.hidden if isinstance(self.strategy, Preset) else frozenset()
        for field in fields(self.strategy()):
            if field.name not in options | hidden:
                assert field.metadata["option"] is False

    def test_every_choice_of_an_option_selects(self) -> None:
        for option in options_of(self.strategy):
            for choice in option.choices:
                selector = self.built(2, **{option.name: choice})
                picks = selector.select(completed(a_pool(), selector), 5, generator())
                assert len(picks) == 5

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(UsageError, match="nonsense"):
            self.built(nonsense="1")

    def test_a_negative_gap_is_refused(self) -> None:
        with pytest.raises(UsageError, match="gap -1"):
            self.built(gap=-1)

    def test_needs_are_known_names_and_enough(self) -> None:
        needs = self.built().needs
        assert isinstance(needs, frozenset)
        assert needs <= COLUMNS | REGION_COLUMNS | OTHER_NEEDS
        full, bare = self.pool(), self.pool(needs=needs)
        selector = self.built()
        np.testing.assert_array_equal(
            selector.select(full, 9, generator()), selector.select(bare, 9, generator())
        )
        np.testing.assert_array_equal(selector.score(full), selector.score(bare))
        some = np.arange(3)
        assert selector.explain(full, some).words == selector.explain(bare, some).words

    @pytest.mark.parametrize("budget", [0, 1, 7, 1000])
    def test_positions_are_distinct_in_range_and_within_budget(self, budget: int) -> None:
        pool = self.pool(labelled=[(0, 3), (1, 20)])
        picks = self.built().select(pool, budget, generator())
        assert picks.dtype == np.int64
        assert picks.shape == (len(np.unique(picks)),)
        assert len(picks) <= budget
        assert ((picks >= 0) & (picks < len(pool))).all()

    def test_same_generator_same_selection(self) -> None:
        pool, selector = self.pool(), self.built()
        np.testing.assert_array_equal(
            selector.select(pool, 9, generator(3)), selector.select(pool, 9, generator(3))
        )

    def test_the_global_generator_is_neither_read_nor_moved(self) -> None:
        np.random.seed(1)  # noqa: NPY002
        before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
        first = self.built().select(self.pool(), 9, generator())
        after = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
        assert (after == before).all()
        np.random.seed(2)  # noqa: NPY002
        np.testing.assert_array_equal(first, self.built().select(self.pool(), 9, generator()))

    def test_the_pool_is_left_as_it_was(self) -> None:
        pool, same = self.pool(), self.pool()
        selector = self.built()
        selector.explain(pool, selector.select(pool, 9, generator()))
        for column in COLUMNS:
            np.testing.assert_array_equal(pool.column(column), same.column(column))
        assert pool.regions is not None
        assert same.regions is not None
        np.testing.assert_array_equal(pool.regions.probs, same.regions.probs)
        np.testing.assert_array_equal(pool.frames.index, same.frames.index)

    def test_renaming_clips_changes_nothing(self) -> None:
        pool = self.pool(labelled=[(0, 3)])
        names = tuple(f"other-{i}" for i in range(len(pool.frames.clips)))
        renamed = replace(
            pool,
            frames=FrameSet(names, pool.frames.clip, pool.frames.index),
            labelled=FrameSet(names, pool.labelled.clip, pool.labelled.index),
        )
        selector = self.built()
        np.testing.assert_array_equal(
            selector.select(pool, 9, generator()), selector.select(renamed, 9, generator())
        )

    @pytest.mark.parametrize("gap", [0, 1, 3, 10**6])
    def test_no_pick_within_the_gap_of_another_or_of_a_labelled_frame(self, gap: int) -> None:
        if self.neighbours_allowed:
            pytest.skip("neighbours_allowed")
        pool = self.pool(labelled=[(0, 3), (0, 4), (1, 20)])
        picks = self.built(gap=gap).select(pool, len(pool), generator())
        assert len(picks)
        assert distances(pool, picks) > gap

    def test_a_gap_in_seconds_is_kept_as_one_in_frames(self) -> None:
        if self.neighbours_allowed:
            pytest.skip("neighbours_allowed")
        pool = self.pool(labelled=[(0, 3), (0, 4), (1, 20)])
        one, two = (
            self.built(gap=gap).select(pool, len(pool), generator()) for gap in (2, "0.25s")
        )
        np.testing.assert_array_equal(one, two)

    def test_under_a_budget_in_boxes_the_expected_ones_are_never_more(self) -> None:
        pool = self.pool()
        costs = pool.column("expected_objects").sum(axis=1).astype(np.float64)
        picks, _ = select_within(self.built(), pool, costs, Fraction(12), generator())
        assert len(set(picks.tolist())) == len(picks) > 0
        assert math.fsum(costs[picks]) <= 12

    @pytest.mark.parametrize("gap", [0, 1, 3])
    def test_fewer_than_the_budget_only_where_nothing_more_fits(self, gap: int) -> None:
        pool = self.pool(labelled=[(0, 3), (1, 20)])
        picks = self.built(gap=gap).select(pool, len(pool), generator())
        if self.neighbours_allowed:
            assert len(picks) == len(pool)
            return
        few = self.built(gap=gap).select(pool, len(picks) - 1, generator())
        assert len(few) < len(picks)
        # A batch that is put together anew for a smaller budget may leave less room between picks.
        for found in [picks, few] if len(few) < len(picks) - 1 else [picks]:
            for other in np.setdiff1d(np.arange(len(pool)), found):
                assert distances(pool, np.append(found, other)) <= gap

    def test_clips_take_turns_until_one_is_exhausted(self) -> None:
        if not self.clips_in_turn:
            pytest.skip("clips_in_turn = False")
        pool = self.pool((40, 30, 20), seed=3)
        pool = pool.with_columns(errors=pool.column("errors") + 1)
        for budget in (2, 3, 7, 10):
            picks = self.built(gap=1).select(pool, budget, generator())
            counts = np.bincount(pool.frames.clip[picks], minlength=3)
            assert counts.sum() == budget
            assert counts.max() - counts.min() <= 1

    def test_scores_are_finite_or_all_nan(self) -> None:
        pool = self.pool()
        scores = self.built().score(pool)
        assert scores.dtype == np.float64
        assert scores.shape == (len(pool),)
        assert np.isfinite(scores).all() or np.isnan(scores).all()

    def test_scores_do_not_depend_on_the_order_of_clips(self) -> None:
        one, two = a_pool((5,), seed=1), a_pool((5,), seed=2)
        selector = self.built()
        pool, turned = completed(joined(one, two), selector), joined(two, one)
        # What was learned goes with its detection: a training sees them in some order.
        assert pool.regions is not None
        assert turned.regions is not None
        half = len(turned.regions) // 2
        columns = {name: np.roll(each, half, 0) for name, each in pool.regions.columns.items()}
        turned = replace(
            turned,
            regions=replace(turned.regions, columns=columns),
            items=pool.items,
            asked=pool.asked,
        )
        first, second = selector.score(pool), selector.score(turned)
        np.testing.assert_allclose(first, np.roll(second, 5))

    def test_explains_every_position_in_the_order_asked(self) -> None:
        pool, selector = self.pool(), self.built()
        picks = selector.select(pool, 9, generator())
        told = selector.explain(pool, picks)
        assert len(told.words) == len(picks)
        assert all(words and "\n" not in words for words in told.words)
        assert all(len(part) == len(picks) for part in told.parts.values())
        assert selector.explain(pool, picks[::-1]).words == told.words[::-1]
        assert selector.explain(pool, EMPTY).words == ()

    @pytest.mark.parametrize(
        "pool",
        [
            a_pool((0, 0)),
            a_pool((1,)),
            a_pool((0, 1, 0), labelled=[]),
            a_pool((3, 2), labelled=[(c, i) for c, n in enumerate((3, 2)) for i in range(n)]),
            a_pool((5, 5), regions_per_frame=0),
            a_pool((6,), labelled=[(0, 2)]),
        ],
        ids=[
            "empty clips",
            "one frame",
            "one frame among empty clips",
            "all labelled",
            "no detections",
            "every frame near a labelled one",
        ],
    )
    def test_small_and_empty_pools_are_no_special_case(self, pool: Pool) -> None:
        selector = self.built()
        pool = completed(pool, selector)
        picks = selector.select(pool, 4, generator())
        assert len(selector.score(pool)) == len(pool)
        assert len(selector.explain(pool, picks).words) == len(picks)
        near = any(abs(i - 2) > 2 for i in pool.frames.index) if len(pool.labelled) == 1 else True
        assert bool(len(picks)) == (len(pool) > 0 and near)

    def test_one_class_is_no_special_case(self) -> None:
        pool, selector = self.pool(classes=CLASSES[1:2]), self.built()
        picks = selector.select(pool, 6, generator())
        assert len(picks) == 6
        assert len(selector.explain(pool, picks).words) == 6

    def test_detections_that_are_all_alike_fill_the_budget(self) -> None:
        pool, selector = a_pool((30, 20)), self.built(gap=0)
        assert pool.regions is not None
        first = np.zeros(len(pool.regions), np.int64)
        columns = {name: each[first] for name, each in pool.regions.columns.items()}
        same = replace(
            pool.regions,
            probs=pool.regions.probs[first],
            features=pool.regions.features[first],
            columns=columns,
        )
        pool = completed(replace(pool, regions=same), selector)
        assert len(selector.select(pool, 9, generator())) == 9

    def test_nothing_answered_and_no_unknown_object_yet_is_no_special_case(self) -> None:
        selector = self.built()
        pool = completed(a_pool(first_round=True), selector, history=False)
        picks = selector.select(pool, 9, generator())
        assert len(np.unique(picks)) == 9
        assert len(selector.explain(pool, picks).words) == 9

    def test_a_class_that_nothing_is_labelled_of_is_no_special_case(self) -> None:
        selector, pool = self.built(), a_pool()
        assert pool.items is not None
        pool = replace(pool, items=pool.items.keep(pool.items.answers != 1))
        pool = completed(pool, selector)
        assert len(np.unique(selector.select(pool, 9, generator()))) == 9

    def test_the_same_seed_teaches_the_same_and_everything_is_finite(self) -> None:
        if not isinstance(self.strategy(), Learner):
            pytest.skip("learns nothing")
        pool, learner = a_pool(), self.strategy()
        first, second = (learner.learn(a_trunk(pool, learner), 5) for _ in range(2))
        assert pool.regions is not None
        assert pool.items is not None
        for side in ("pool", "labelled"):
            found, again = getattr(first, side), getattr(second, side)
            assert set(found) == set(again)
            for name, values in found.items():
                assert "." in name, f"{name}: say whose it is, as in lfosa.logits"
                assert len(values) == len(pool.regions if side == "pool" else pool.items)
                assert np.isfinite(np.asarray(values, np.float64)).all()
                np.testing.assert_array_equal(values, again[name])

    def test_features_that_are_not_numbers_are_refused(self) -> None:
        if not isinstance(self.strategy(), Learner):
            pytest.skip("learns nothing")
        if "pictures" in self.strategy().needs:
            pytest.skip("pixels are whole numbers")
        pool = a_pool()
        assert pool.regions is not None
        assert pool.items is not None
        trunk = a_trunk(pool)
        broken = pool.regions.features.astype(np.float32)
        broken[3, 2] = np.nan
        with pytest.raises(VidalError, match="NaN"):
            self.strategy().learn(type(trunk)(pool.items, broken, pool.regions.probs), 5)
