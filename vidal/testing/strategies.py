"""What every query strategy has to satisfy: vidal's own pass this suite, and yours can, too.

from vidal.testing import StrategyContract

class TestMine(StrategyContract):
    strategy = Mine
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.random import Generator

from vidal.errors import UsageError
from vidal.protocols import Scorer, Selector
from vidal.query.options import Preset, build, convert, options_of, summary
from vidal.query.select import lift
from vidal.types import BACKGROUND, FrameSet, IntArray, Items, Pool, Regions

COLUMNS = frozenset(
    {
        "errors",
        "embedding",
        "class_mass",
        "expected",
        "expected_objects",
        "told",
        "learned",
        "prior",
        "detections",
    }
)
REGION_COLUMNS = frozenset(
    {"passes", "members", "votes", "predicted_loss", "labelledness", "suppressed", "logits"}
)
OTHER_NEEDS = frozenset({"regions", "features", "labelled", "labels", "heads"})
CLASSES = ("car", "cyclist", "pedestrian")
EMPTY = np.zeros(0, np.int64)


def a_pool(
    lengths: Sequence[int] = (40, 25, 0, 12),
    *,
    labelled: Sequence[tuple[int, int]] = (),
    regions_per_frame: int = 3,
    seed: int = 0,
    needs: Collection[str] | None = None,
) -> Pool:
    """A pool with all evidence, or with what ``needs`` names only; ``labelled`` = (clip, index)."""
    rng = np.random.default_rng(seed)
    taken = set(labelled)
    pairs = [(c, i) for c, n in enumerate(lengths) for i in range(n) if (c, i) not in taken]
    clip, index = np.array(pairs, np.int64).reshape(-1, 2).T
    clips = tuple(f"clip-{chr(97 + c)}" for c in range(len(lengths)))
    known = np.array(sorted(taken), np.int64).reshape(-1, 2).T
    f, k = len(pairs), len(CLASSES)
    columns = {
        "errors": rng.poisson(0.7, (f, k, 2)).astype(np.float32),
        "embedding": rng.normal(size=(f, 8)).astype(np.float32),
        "class_mass": rng.gamma(1.0, 1.0, (f, k)).astype(np.float32),
        "expected": rng.gamma(0.5, 1.0, (f, k, 2)).astype(np.float32),
        "learned": np.full(f, bool(seed % 2)),
        "prior": np.full(f, seed % 3 / 2, np.float32),
    }
    columns["told"] = 1.5 * columns["expected"]
    columns["detections"] = np.full(f, regions_per_frame)
    columns["expected_objects"] = np.random.default_rng(seed + 3).gamma(0.5, 1.0, (f, k))
    wanted = COLUMNS | REGION_COLUMNS | OTHER_NEEDS if needs is None else frozenset(needs)
    return Pool(
        FrameSet(clips, clip, index),
        CLASSES,
        FrameSet(clips, *known),
        {name: values for name, values in columns.items() if name in wanted},
        some_regions(rng, f * regions_per_frame, f, wanted) if "regions" in wanted else None,
        some_items(np.random.default_rng(seed + 1)) if "labelled" in wanted else None,
        _about_labelled(np.random.default_rng(seed + 2), len(taken), wanted),
    )


def some_items(rng: Generator, m: int = 24) -> Items:
    """``m`` labelled detections: of every class, outside the classes, and background."""
    k = len(CLASSES)
    features = rng.normal(size=(m, 16)).astype(np.float32)
    probs = rng.dirichlet(np.ones(k + 1), m).astype(np.float32)
    columns = {
        "labels": np.arange(m) * 7 % k,
        "scores": probs[:, :-1].max(axis=1),
        "suppressed": rng.poisson(4.0, m) + 1,
    }
    return Items(features, probs, np.arange(m) % (k + 2) + BACKGROUND, columns)


def _about_labelled(rng: Generator, count: int, wanted: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "embedding": rng.normal(size=(count, 8)).astype(np.float32),
        "objects": rng.poisson(1.0, (count, len(CLASSES))),
    }
    asked = {"embedding": "embedding", "objects": "labelled"}
    return {name: rows for name, rows in values.items() if asked[name] in wanted}


def some_regions(
    rng: Generator, n: int, f: int, wanted: frozenset[str] = REGION_COLUMNS
) -> Regions:
    """``n`` detections spread evenly over ``f`` frames."""
    k = len(CLASSES)
    more = np.random.default_rng(n)
    columns: dict[str, Any] = {
        "passes": more.dirichlet(np.ones(k + 1), (n, 5)).astype(np.float32),
        "members": more.dirichlet(np.ones(k + 1), (n, 4)).astype(np.float32),
        "votes": more.integers(0, k + 1, (n, 6)).astype(np.int16),
        "predicted_loss": more.normal(size=n),
        "labelledness": more.random(n),
        "suppressed": more.poisson(4.0, n) + 1,
        "logits": more.normal(size=(n, k)).astype(np.float32),
    }
    probs = rng.dirichlet(np.ones(len(CLASSES) + 1), n).astype(np.float32)
    corner = rng.uniform(0, 100, (n, 2))
    return Regions(
        np.repeat(np.arange(f), n // f) if f else EMPTY,
        np.hstack([corner, corner + rng.uniform(5, 50, (n, 2))]),
        probs[:, :-1].max(axis=1, initial=0.0),
        np.where(np.arange(n) % 5, probs[:, :-1].argmax(axis=1), -1) if n else EMPTY,
        probs,
        rng.normal(size=(n, 16)).astype(np.float16),
        {name: values for name, values in columns.items() if name in wanted},
    )


def generator(seed: int = 7) -> Generator:
    """The random numbers of one selection."""
    return np.random.default_rng(seed)


def distances(pool: Pool, picks: IntArray) -> int:
    """Least index distance of picks of one clip, to each other and to labelled frames."""
    least = 10**9
    for clip in range(len(pool.frames.clips)):
        mine = np.sort(pool.frames.index[picks][pool.frames.clip[picks] == clip])
        known = pool.labelled.index[pool.labelled.clip == clip]
        least = min([least, *np.diff(mine).tolist()])
        least = min([least, *np.abs(mine[:, None] - known).ravel().tolist()])
    return least


def joined(first: Pool, second: Pool) -> Pool:
    """Two one-clip pools as one pool of two clips."""
    f = len(first)
    both = FrameSet(
        ("clip-a", "clip-b"),
        np.repeat([0, 1], [f, len(second)]),
        np.concatenate([first.frames.index, second.frames.index]),
    )
    assert first.regions is not None
    assert second.regions is not None
    rows = {
        name: np.concatenate([getattr(first.regions, name), getattr(second.regions, name)])
        for name in ("boxes", "scores", "labels", "probs", "features")
    }
    pos = np.concatenate([first.regions.pos, second.regions.pos + f])
    columns = {
        name: np.concatenate([values, second.regions.columns[name]])
        for name, values in first.regions.columns.items()
    }
    return Pool(
        both,
        CLASSES,
        FrameSet(both.clips, EMPTY, EMPTY),
        {c: np.concatenate([first.column(c), second.column(c)]) for c in sorted(COLUMNS)},
        Regions(pos=pos, **rows, columns=columns),
        some_items(np.random.default_rng(0)),
        {"objects": np.zeros((0, len(CLASSES)), np.int64), "embedding": np.zeros((0, 8))},
    )


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

    def built(self, gap: int = 2, **options: Any) -> Selector:
        """The strategy as ``vidal select`` builds it."""
        return lift(build(self.strategy, options), gap)

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
                picks = self.built(2, **{option.name: choice}).select(a_pool(), 5, generator())
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
        full, bare = a_pool(), a_pool(needs=needs)
        selector = self.built()
        np.testing.assert_array_equal(
            selector.select(full, 9, generator()), selector.select(bare, 9, generator())
        )
        np.testing.assert_array_equal(selector.score(full), selector.score(bare))
        some = np.arange(3)
        assert selector.explain(full, some).words == selector.explain(bare, some).words

    @pytest.mark.parametrize("budget", [0, 1, 7, 1000])
    def test_positions_are_distinct_in_range_and_within_budget(self, budget: int) -> None:
        pool = a_pool(labelled=[(0, 3), (1, 20)])
        picks = self.built().select(pool, budget, generator())
        assert picks.dtype == np.int64
        assert picks.shape == (len(np.unique(picks)),)
        assert len(picks) <= budget
        assert ((picks >= 0) & (picks < len(pool))).all()

    def test_same_generator_same_selection(self) -> None:
        pool, selector = a_pool(), self.built()
        np.testing.assert_array_equal(
            selector.select(pool, 9, generator(3)), selector.select(pool, 9, generator(3))
        )

    def test_the_global_generator_is_neither_read_nor_moved(self) -> None:
        np.random.seed(1)  # noqa: NPY002
        before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
        first = self.built().select(a_pool(), 9, generator())
        after = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
        assert (after == before).all()
        np.random.seed(2)  # noqa: NPY002
        np.testing.assert_array_equal(first, self.built().select(a_pool(), 9, generator()))

    def test_the_pool_is_left_as_it_was(self) -> None:
        pool, same = a_pool(), a_pool()
        selector = self.built()
        selector.explain(pool, selector.select(pool, 9, generator()))
        for column in COLUMNS:
            np.testing.assert_array_equal(pool.column(column), same.column(column))
        assert pool.regions is not None
        assert same.regions is not None
        np.testing.assert_array_equal(pool.regions.probs, same.regions.probs)
        np.testing.assert_array_equal(pool.frames.index, same.frames.index)

    def test_renaming_clips_changes_nothing(self) -> None:
        pool = a_pool(labelled=[(0, 3)])
        names = tuple(f"other-{i}" for i in range(len(pool.frames.clips)))
        renamed = Pool(
            FrameSet(names, pool.frames.clip, pool.frames.index),
            pool.classes,
            FrameSet(names, pool.labelled.clip, pool.labelled.index),
            pool.columns,
            pool.regions,
            pool.items,
            pool.labelled_columns,
        )
        selector = self.built()
        np.testing.assert_array_equal(
            selector.select(pool, 9, generator()), selector.select(renamed, 9, generator())
        )

    @pytest.mark.parametrize("gap", [0, 1, 3, 10**6])
    def test_no_pick_within_the_gap_of_another_or_of_a_labelled_frame(self, gap: int) -> None:
        if self.neighbours_allowed:
            pytest.skip("neighbours_allowed")
        pool = a_pool(labelled=[(0, 3), (0, 4), (1, 20)])
        picks = self.built(gap=gap).select(pool, len(pool), generator())
        assert len(picks)
        assert distances(pool, picks) > gap

    @pytest.mark.parametrize("gap", [0, 1, 3])
    def test_fewer_than_the_budget_only_where_nothing_more_fits(self, gap: int) -> None:
        pool = a_pool(labelled=[(0, 3), (1, 20)])
        picks = self.built(gap=gap).select(pool, len(pool), generator())
        if self.neighbours_allowed:
            assert len(picks) == len(pool)
            return
        for other in np.setdiff1d(np.arange(len(pool)), picks):
            assert distances(pool, np.append(picks, other)) <= gap
        few = self.built(gap=gap).select(pool, len(picks) - 1, generator())
        assert len(few) == len(picks) - 1

    def test_clips_take_turns_until_one_is_exhausted(self) -> None:
        if not self.clips_in_turn:
            pytest.skip("clips_in_turn = False")
        pool = a_pool((40, 30, 20), seed=3)
        pool = pool.with_columns(errors=pool.column("errors") + 1)
        for budget in (2, 3, 7, 10):
            picks = self.built(gap=1).select(pool, budget, generator())
            counts = np.bincount(pool.frames.clip[picks], minlength=3)
            assert counts.sum() == budget
            assert counts.max() - counts.min() <= 1

    def test_scores_are_finite_or_all_nan(self) -> None:
        scores = self.built().score(a_pool())
        assert scores.dtype == np.float64
        assert scores.shape == (len(a_pool()),)
        assert np.isfinite(scores).all() or np.isnan(scores).all()

    def test_scores_do_not_depend_on_the_order_of_clips(self) -> None:
        one, two = a_pool((5,), seed=1), a_pool((5,), seed=2)
        results = []
        for first, second in ((one, two), (two, one)):
            results.append(self.built().score(joined(first, second)))
        np.testing.assert_allclose(results[0], np.roll(results[1], 5))

    def test_explains_every_position_in_the_order_asked(self) -> None:
        pool, selector = a_pool(), self.built()
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
        picks = selector.select(pool, 4, generator())
        assert len(selector.score(pool)) == len(pool)
        assert len(selector.explain(pool, picks).words) == len(picks)
        near = any(abs(i - 2) > 2 for i in pool.frames.index) if len(pool.labelled) == 1 else True
        assert bool(len(picks)) == (len(pool) > 0 and near)
