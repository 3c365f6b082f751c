"""What every store has to satisfy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vidal.protocols import Store
from vidal.store import FileStore, MemoryStore
from vidal.store.packing import pack_all
from vidal.types import Stored

KEY, OTHER = "0" * 32, "f" * 32


class Packing(FileStore):
    """Packs whatever it is given, at once."""

    def put(self, key, arrays, about=None):
        super().put(key, arrays, about)
        pack_all(self)


STORES = {
    "file": lambda path: FileStore(path / "store"),
    "packed": lambda path: Packing(path / "store"),
    "memory": lambda _: MemoryStore(),
}
DTYPES = st.sampled_from([np.bool_, np.uint8, np.int64, np.float16, np.float32, np.float64])


@pytest.fixture(params=sorted(STORES))
def store(request, tmp_path):
    return STORES[request.param](tmp_path)


def same(one, two):
    return one.keys() == two.keys() and all(
        one[k].dtype == two[k].dtype and np.array_equal(one[k], two[k]) for k in one
    )


def test_is_a_store(store):
    assert isinstance(store, Store)


def test_what_was_never_put_is_absent(store):
    assert store.get(KEY) is None


def test_what_was_put_comes_back(store):
    entry = {"a": np.arange(6).reshape(2, 3), "file": np.zeros((0, 4), np.float16), "@": np.ones(1)}
    store.put(KEY, entry)
    assert same(store.get(KEY), entry)
    assert store.get(OTHER) is None


def test_an_entry_without_arrays_is_present(store):
    store.put(KEY, {})
    assert store.get(KEY) == {}


def test_a_peek_gives_the_arrays_asked_for_and_says_whether_the_entry_is_there(store):
    store.put(KEY, {"small": np.ones(2), "large": np.zeros(9)})
    assert same(store.peek(KEY, ("small", "absent")), {"small": np.ones(2)})
    assert store.peek(KEY, ()) == {}
    assert store.peek(OTHER, ()) is None


def test_a_later_put_replaces_the_whole_entry(store):
    store.put(KEY, {"a": np.zeros(3), "b": np.zeros(1)})
    store.put(KEY, {"a": np.ones(2)})
    assert same(store.get(KEY), {"a": np.ones(2)})


def test_an_entry_does_not_change_with_the_arrays_it_came_from_or_went_to(store):
    mine = np.zeros(3)
    store.put(KEY, {"a": mine})
    mine[:] = 1
    taken = store.get(KEY)["a"]
    assert taken.tolist() == [0, 0, 0]
    taken[:] = 2
    assert store.get(KEY)["a"].tolist() == [0, 0, 0]


def test_arrays_of_objects_are_refused(store):
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        store.put(KEY, {"a": np.array([{}], dtype=object)})
    assert store.get(KEY) is None


@pytest.mark.parametrize("key", ["", "../../etc", "ABCDEF0123", "abc", "0" * 31 + "/", "g" * 32])
def test_what_is_no_key_is_refused(store, key):
    with pytest.raises(ValueError, match="not a store key"):
        store.put(key, {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.text("abc._@", min_size=1, max_size=5), DTYPES, max_size=3), st.data())
def test_any_plain_arrays_come_back(store, names, data):
    shapes = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    entry = {name: data.draw(arrays(dtype, shapes)) for name, dtype in names.items()}
    store.put(KEY, entry)
    back = store.get(KEY)
    assert back.keys() == entry.keys()
    for name, array in entry.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


ABOUT = Stored("detections", "a-clip", 1024, 2048, 7, {"classes": ["car", "bus"], "share": 0.1})


def test_what_was_said_of_an_entry_is_known_without_it(store):
    store.put(KEY, {"a": np.ones(3)}, ABOUT)
    store.put("1" * 32, {"a": np.ones(3)})
    assert list(store.known([OTHER, KEY, "1" * 32])) == [None, ABOUT, Stored("")]
    assert same(store.get(KEY), {"a": np.ones(3)})


@pytest.mark.parametrize("about", [Stored("Detections"), Stored("x", facts={"a": float("nan")})])
def test_what_cannot_be_said_of_an_entry_is_refused(store, about):
    with pytest.raises(ValueError):
        store.put(KEY, {}, about)
    assert store.get(KEY) is None


def test_many_entries_are_read_in_one_go(store):
    keys = [f"{number:032x}" for number in range(9)]
    for number, key in enumerate(keys[:7]):
        store.put(key, {"a": np.full(2, number), "b": np.zeros(5)}, ABOUT)
    found = dict(store.scan([*reversed(keys), keys[3]], ("a",)))
    assert sorted(found) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert all(each.keys() == {"a"} for each in found.values())
    assert [int(found[at]["a"][0]) for at in range(2, 10)] == [6, 5, 4, 3, 2, 1, 0, 3]
    assert {len(arrays) for _, arrays in store.scan(keys)} == {2}


def test_what_was_dropped_is_absent(store):
    store.put(KEY, {"a": np.ones(3)}, ABOUT)
    store.drop([OTHER, KEY])
    assert store.get(KEY) is None
    assert list(store.known([KEY])) == [None]
    store.put(KEY, {"a": np.zeros(3)})
    assert same(store.get(KEY), {"a": np.zeros(3)})
