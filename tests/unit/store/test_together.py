"""Many entries that are put at once are what they are when they are put one by one."""

from __future__ import annotations

import os

import numpy as np
import pytest

from vidal.store import FileStore
from vidal.store.fresh import MUCH
from vidal.types import Stored


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def entries(count, value=0, stage="clip"):
    return [
        (
            f"{n:032x}",
            {"a": np.full(n % 5, value + n)},
            Stored(stage, f"c{n}", rows=n, facts={"n": n}),
        )
        for n in range(count)
    ]


def held(store, count):
    keys = [f"{n:032x}" for n in range(count)]
    arrays = {at: found["a"].tolist() for at, found in store.scan(keys)}
    return arrays, list(store.known(keys))


@pytest.mark.parametrize("count", [0, 3, MUCH, 3 * MUCH])
def test_entries_put_at_once_are_those_put_one_by_one(tmp_path, count):
    one, many = FileStore(tmp_path / "one"), FileStore(tmp_path / "many")
    many.put_many(entries(count))
    for each in entries(count):
        one.put(*each)
    for store in (many, FileStore(tmp_path / "many", read_only=True)):
        assert held(store, count) == held(one, count)
    files = len(list((tmp_path / "many" / "fresh").rglob("*.npz")))
    assert files == (0 if count >= MUCH else count)


def test_later_ones_replace_what_was_put_or_packed_before(tmp_path):
    store = FileStore(tmp_path)
    for each in entries(5, value=100):
        store.put(*each)
    store.put_many(entries(MUCH, value=200))
    assert held(store, MUCH)[0][4] == [204] * 4
    store.put_many(entries(MUCH, value=300))
    assert held(FileStore(tmp_path), MUCH)[0][4] == [304] * 4


def test_few_of_a_stage_and_what_a_shard_does_not_hold_stay_files(tmp_path):
    store = FileStore(tmp_path)
    texts = ("f" * 32, {"t": np.array(["text"])}, Stored("clip"))
    few = [(f"{n:031x}a", {"a": np.arange(n)}, Stored("hint")) for n in range(3)]
    store.put_many([*entries(MUCH), texts, *few])
    assert len(list((tmp_path / "fresh").rglob("*.npz"))) == 4
    found = store.get("f" * 32)
    assert found is not None
    assert found["t"].tolist() == ["text"]
    assert held(store, MUCH)[0].keys() == set(range(MUCH))


def test_a_key_that_is_none_is_refused_before_anything_is_written(tmp_path):
    store = FileStore(tmp_path)
    with pytest.raises(ValueError, match="not a store key"):
        store.put_many([*entries(MUCH), ("no key", {}, Stored("clip"))])
    assert list(store.known([f"{n:032x}" for n in range(MUCH)])) == [None] * MUCH
