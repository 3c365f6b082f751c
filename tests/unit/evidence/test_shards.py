"""Clips dealt to shards: each to one, evenly, whatever order they are listed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import UsageError
from vidal.evidence.shards import Shard, size_of

WEIGHTS = st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 10**6), max_size=30)


def all_of(count):
    return [Shard(number, count) for number in range(1, count + 1)]


@given(WEIGHTS, st.integers(1, 9))
def test_every_clip_is_dealt_to_one_shard_or_divided_among_all(weights, count):
    deals = [shard.deal(weights) for shard in all_of(count)]
    (divided,) = {deal.divided for deal in deals}
    dealt = [name for deal in deals for name in deal.own]
    assert sorted([*dealt, *divided]) == sorted(weights)


@given(WEIGHTS, st.integers(2, 9))
def test_those_are_divided_that_are_more_than_a_fair_share(weights, count):
    divided = Shard(1, count).deal(weights).divided
    assert divided == {n for n, w in weights.items() if w > sum(weights.values()) / count}
    assert len(divided) < count
    assert not Shard().deal(weights).divided


@given(WEIGHTS.filter(bool), st.integers(1, 9))
def test_no_shard_has_more_than_another_by_more_than_one_clip(weights, count):
    loads = [sum(max(weights[n], 1) for n in s.deal(weights).own) for s in all_of(count)]
    assert max(loads) - min(loads) <= max(max(weights.values()), 1)


@given(WEIGHTS, st.integers(1, 9), st.randoms(use_true_random=False))
def test_the_order_of_the_listing_does_not_matter(weights, count, random):
    names = list(weights)
    random.shuffle(names)
    mixed = {name: weights[name] for name in names}
    assert [shard.deal(mixed) for shard in all_of(count)] == [
        shard.deal(weights) for shard in all_of(count)
    ]


def test_clips_of_which_nothing_is_known_are_dealt_evenly_too():
    weights = dict.fromkeys("abcdef", 0)
    assert [sorted(shard.deal(weights).own) for shard in all_of(3)] == [
        ["a", "d"],
        ["b", "e"],
        ["c", "f"],
    ]


@given(st.integers(0, 500), st.integers(1, 20))
def test_the_parts_of_a_row_follow_each_other_and_differ_by_one_at_most(units, count):
    parts = [shard.part(units) for shard in all_of(count)]
    assert [at for part in parts for at in part] == list(range(units))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["2/8", " 2/8 "])
def test_a_shard_is_written_as_number_and_how_many(text):
    assert Shard.parse(text) == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"


@pytest.mark.parametrize("text", ["", "2", "2/", "/8", "2:8", "-1/8", "1.0/8", "2/8/9", "a/b"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(UsageError, match="is not NUMBER/HOW MANY"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "0/0"])
def test_a_number_that_is_not_between_one_and_how_many_is_refused(text):
    with pytest.raises(UsageError, match="counted from 1"):
        Shard.parse(text)


def test_the_size_of_a_clip_is_that_of_its_file_or_of_the_files_in_its_folder(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"12345")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.jpg").write_bytes(b"123")
    (tmp_path / "b" / "2.jpg").write_bytes(b"12")
    assert size_of(tmp_path / "a.mp4") == size_of(tmp_path / "b") == 5
    assert size_of(tmp_path / "gone.mp4") == 0
