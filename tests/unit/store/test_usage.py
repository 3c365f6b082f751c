"""What a store holds by stage, and what pruning takes and leaves."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import InputError, OutputError
from vidal.store import FileStore, npz
from vidal.store.packing import pack_all
from vidal.store.usage import DAY, keep_budget, prune, set_budget, usage
from vidal.types import Stored


def key(stage, number):
    return f"{stage.encode().hex()[:12]}{number:020x}"


def put(store, stage, count=3, *, first=0, size=1000):
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        array = rng.integers(0, 256, size, np.uint8)
        about = Stored(stage, f"clip-{number}", 0, 100)
        store.put(key(stage, number), {"a": array}, about)


def there(store, stage, count=3):
    return [each is not None for each in store.known([key(stage, n) for n in range(count)])]


def needed(root, stage, days):
    """As if what is there of a stage had been needed last so many days ago."""
    for path in [*(root / "shards").glob(f"{stage}-*"), *(root / "fresh").rglob("*.npz")]:
        if path.suffix == ".parquet" or path.name.startswith(stage.encode().hex()[:12]):
            os.utime(path, (time.time() - days * DAY,) * 2)


def test_usage_is_told_by_stage(tmp_path):
    store = FileStore(tmp_path)
    put(store, "flow", size=5000)
    put(store, "detections")
    pack_all(store)
    put(store, "detections", 1, first=3)
    found = usage(store)
    assert [(s.stage, s.entries, s.frames, s.files) for s in found.stages] == [
        ("detections", 4, 400, 2),
        ("flow", 3, 300, 1),
    ]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found.bytes == sum(path.stat().st_size for path in files)
    shard = next((tmp_path / "shards").glob("flow-*"))
    assert found.stages[1].bytes == shard.stat().st_size > 15_000
    assert (found.single, found.earlier, found.budget) == (1, 0, None)


def test_an_empty_store_has_no_stages(tmp_path):
    found = usage(FileStore(tmp_path / "none", read_only=True))
    assert (found.stages, found.bytes) == ((), 0)


def test_a_stage_is_pruned_and_no_other(tmp_path):
    store = FileStore(tmp_path)
    put(store, "flow")
    put(store, "prints")
    pack_all(store)
    put(store, "flow", 1, first=3)
    before = usage(store).bytes
    would = prune(store, stages=["flow"], dry_run=True)
    assert there(store, "flow", 4) == [True] * 4
    assert prune(store, stages=["flow"]) == would
    assert (would.entries, would.files) == (4, 2)
    assert would.left == before - would.bytes == usage(FileStore(tmp_path)).bytes
    assert there(store, "flow", 4) == [False] * 4
    assert there(store, "prints") == [True] * 3
    put(store, "flow")
    assert there(store, "flow") == [True] * 3


def test_what_no_run_has_needed_for_long_is_pruned(tmp_path):
    store = FileStore(tmp_path)
    for stage in ("flow", "prints", "given", "judged"):
        put(store, stage)
    pack_all(store)
    put(store, "clip")
    for stage in ("flow", "prints", "given", "judged", "clip"):
        needed(tmp_path, stage, 40)
    FileStore(tmp_path).known([key("prints", 1)])  # a run asks for it
    removed = prune(FileStore(tmp_path), before=time.time() - 30 * DAY)
    assert removed.entries == 6
    assert there(store, "flow") == there(store, "clip") == [False] * 3
    for stage in ("prints", "given", "judged"):
        assert there(store, stage) == [True] * 3
    assert prune(store, stages=["given"]).entries == 3


def test_the_least_recently_needed_goes_first_and_flow_first_of_a_day(tmp_path):
    store = FileStore(tmp_path)
    stages = ("estimate", "flow", "prints", "features")
    for stage, days in zip(stages, (5, 5, 9, 0), strict=True):
        put(store, stage, size=4000)
        pack_all(store)
        needed(tmp_path, stage, days)
    size = usage(store).bytes
    gone = []
    for step in range(1, 5):
        removed = prune(store, to=size - 12_000 * step)
        assert removed.left <= size - 12_000 * step
        left = {each.stage for each in usage(store).stages}  # to ask for entries is to need them
        gone.append(set(stages) - left)
    order = ["prints", "flow", "estimate", "features"]
    assert gone == [set(order[:count]) for count in range(1, 5)]


def test_what_may_be_given_detections_of_an_earlier_version_stays(tmp_path):
    names = {
        "detections": ("scanned", "boxes", "scores", "probs"),
        "flow": ("forward", "backward", "valid"),
        "else": ("what",),
    }
    for stage, arrays in names.items():
        path = tmp_path / key(stage, 0)[:2] / f"{key(stage, 0)}.npz"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            npz.write(file, {name: np.zeros(9) for name in arrays}, None)
    store = FileStore(tmp_path)
    assert usage(store).earlier == 3
    assert prune(store, to=0).entries == 1
    assert [there(store, stage, 1) for stage in names] == [[True], [False], [True]]


def test_a_budget_is_kept_by_whoever_packs_and_spares_what_is_in_use(tmp_path):
    store = FileStore(tmp_path)
    for stage, days in (("flow", 9), ("prints", 2), ("estimate", 0)):
        put(store, stage, size=4000)
        pack_all(store)
        needed(tmp_path, stage, days)
    set_budget(tmp_path, usage(store).bytes - 1000)
    store.pack()
    assert not any(there(store, "flow"))
    assert all(there(store, "prints"))
    assert store.over_budget == 0
    set_budget(tmp_path, 5_000)
    store = FileStore(tmp_path)
    store.pack()
    assert all(there(store, "prints"))  # it was asked for above
    assert store.over_budget == usage(store).bytes - 5_000
    set_budget(tmp_path, None)
    assert usage(store).budget is None
    assert keep_budget(store) == 0


@pytest.mark.parametrize("asks", ["known", "get", "peek", "scan"])
@pytest.mark.parametrize("layout", ["fresh", "earlier"])
def test_single_entries_that_a_run_needs_are_spared_however_old_they_are(tmp_path, asks, layout):
    store = FileStore(tmp_path)
    put(store, "flow")
    put(store, "prints")
    if layout == "earlier":
        for path in list((tmp_path / "fresh").rglob("*.npz")):
            (tmp_path / path.parent.name).mkdir(exist_ok=True)
            path.rename(tmp_path / path.parent.name / path.name)
    for path in tmp_path.rglob("*.npz"):
        os.utime(path, (time.time() - 9 * DAY,) * 2)
    run = FileStore(tmp_path)
    keys = [key("prints", number) for number in range(3)]
    if asks == "known":
        assert None not in list(run.known(keys))
    elif asks == "scan":
        assert len(list(run.scan(keys))) == 3
    else:
        for each in keys:
            assert run.get(each) if asks == "get" else run.peek(each, ["a"])
    usage(run)  # to look at a store is not to need what is in it
    set_budget(tmp_path, 1)
    run.pack()
    assert there(run, "flow") == [False] * 3
    assert there(run, "prints") == [True] * 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bytes": -1}', '{"bytes": true}', '{"b": 1}'])
def test_a_budget_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "budget.json").write_text(text)
    with pytest.raises(InputError, match=r"budget\.json"):
        usage(FileStore(tmp_path))


def test_what_cannot_be_removed_is_named(tmp_path, monkeypatch):
    store = FileStore(tmp_path)
    put(store, "flow")
    pack_all(store)

    def refused(path, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OutputError, match="permission denied"):
        prune(store, stages=["flow"])
