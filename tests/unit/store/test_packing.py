"""Packing: what was put comes back, whatever is killed, damaged, lost or done at once."""

import errno
import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import InputError, OutputError
from vidal.store import FileStore, packing
from vidal.store import fresh as fresh_module
from vidal.store import packed as packed_module
from vidal.store.packing import pack_all, tidy
from vidal.types import Stored

SLOW = bool(os.environ.get("VIDAL_SLOW"))
ROOT = Path(__file__).parents[3]


def key(number):
    return hashlib.blake2b(str(number % 17).encode(), digest_size=8).hexdigest() + f"{number:016x}"


def entry(number, seed=0):
    rng = np.random.default_rng([number, seed])
    count = int(rng.integers(0, 30))
    return {
        "@": np.frombuffer(b'{"n":%d}' % number, np.uint8),
        "boxes": rng.random((count, 4), np.float32),
        "features": rng.random((count, 8)).astype(np.float16),
        "frame": np.sort(rng.integers(0, 99, count)),
        "scanned": rng.random(9) < 0.5,
    }


def about(number, stage="detections"):
    facts = {"classes": ["car", "bus"], "lost": number % 3, "share": number / 7}
    return Stored(stage, f"clip-{number // 3}", 10, 20, number, facts)


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch):
    """What reaches the disk when the power fails is not looked at here, and flushing is slow."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def filled(root, count=20, *, start=0):
    store = FileStore(root)
    for number in range(start, start + count):
        store.put(key(number), entry(number), about(number, ("detections", "flow")[number % 2]))
    return store


def same(one, two):
    return list(one) == list(two) and all(
        one[n].dtype == two[n].dtype
        and one[n].shape == two[n].shape
        and one[n].tobytes() == two[n].tobytes()
        for n in one
    )


def whole(store, count=20):
    """Whether all entries are there, as they were put, by every way of asking."""
    keys = [key(number) for number in range(count)]
    told = [about(number, ("detections", "flow")[number % 2]) for number in range(count)]
    found = dict(store.scan(keys))
    return (
        list(store.known(keys)) == told
        and sorted(found) == list(range(count))
        and all(same(found[number], entry(number)) for number in range(count))
        and all(same(store.get(key(number)), entry(number)) for number in range(count))
    )


def shards(root):
    return sorted((root / "shards").glob("*.parquet"))


def fresh(root):
    return sorted((root / "fresh").rglob("*.npz"))


def test_what_is_packed_lies_in_a_shard_a_stage_and_no_file_of_its_own(tmp_path):
    store = filled(tmp_path)
    assert len(fresh(tmp_path)) == 20
    pack_all(store)
    assert [path.name.split("-")[0] for path in shards(tmp_path)] == ["detections", "flow"]
    assert fresh(tmp_path) == []
    assert whole(store)
    assert whole(FileStore(tmp_path))
    assert whole(FileStore(tmp_path, read_only=True))


def test_every_bit_of_a_number_comes_back(tmp_path):
    store = FileStore(tmp_path)
    bits = np.random.default_rng(0).integers(0, 256, 8 * 1000, np.uint8)
    arrays = {code: bits.view(code) for code in ("f2", "f4", "f8", "u2", "u8", "i2", "i4", "i1")}
    arrays |= {"empty": np.zeros((0, 4), np.float32), "point": np.array(np.nan, np.float64)}
    arrays |= {"zero": np.array([-0.0, 0.0]), "fortran": np.asfortranarray(np.ones((2, 3)))}
    arrays |= {"a.b": np.arange(3), "a": np.arange(4), "": np.ones(2), "a:f4.b": np.ones(1)}
    store.put(key(1), arrays, about(1))
    store.put(key(2), {"other": np.ones(2, bool), "a": np.ones(2, np.float32)}, about(2))
    pack_all(store)
    assert fresh(tmp_path) == []
    assert same(store.get(key(1)), arrays)
    assert same(store.peek(key(1), ("a", "f4")), {name: arrays[name] for name in ("f4", "a")})
    assert same(store.get(key(2)), {"other": np.ones(2, bool), "a": np.ones(2, np.float32)})


def test_what_a_shard_cannot_hold_exactly_stays_a_file(tmp_path):
    store = FileStore(tmp_path)
    odd = {"text": np.array(["ab", "c"]), "big": np.arange(3, dtype=">i4"), "z": np.ones(2, "c16")}
    for number, (name, array) in enumerate(odd.items()):
        store.put(key(number), {name: array}, about(number))
    store.put(key(9), entry(9), about(9))
    pack_all(store)
    assert len(fresh(tmp_path)) == 3
    for number, (name, array) in enumerate(odd.items()):
        assert same(store.get(key(number)), {name: array})
        assert store.known([key(number)])[0] == about(number)
    assert len(dict(store.scan([key(n) for n in (0, 1, 2, 9)]))) == 4


def test_few_small_entries_stay_files_until_there_are_many(tmp_path, monkeypatch):
    store = filled(tmp_path)
    store.pack()
    assert len(fresh(tmp_path)) == 20
    assert not (tmp_path / "shards").exists()
    monkeypatch.setattr(fresh_module, "MUCH", 20)
    store.pack()
    assert fresh(tmp_path) == []
    assert whole(store)


def test_a_few_large_entries_are_packed(tmp_path, monkeypatch):
    monkeypatch.setattr(fresh_module, "MUCH_BYTES", 10_000)
    store = FileStore(tmp_path)
    store.put(key(1), {"a": np.zeros(10_000, np.uint8)}, about(1))
    store.pack()
    assert fresh(tmp_path) == []


def test_what_is_known_is_told_without_opening_a_shard(tmp_path):
    pack_all(filled(tmp_path))
    for path in shards(tmp_path):
        path.write_bytes(b"")
    store = FileStore(tmp_path)
    told = store.known([key(3), key(99), key(4)])
    assert list(told) == [about(3, "flow"), None, about(4)]
    assert told.there.tolist() == [True, False, True]
    assert store.get(key(3)) is None
    assert list(FileStore(tmp_path).known([key(3), key(4)])) == [None, about(4)]


def test_a_scan_opens_a_shard_once_and_reads_no_other_arrays(tmp_path, monkeypatch):
    pack_all(filled(tmp_path))
    store = FileStore(tmp_path)
    opened, read = [], []

    class Watched(packed_module.Shard):
        def __init__(self, path):
            opened.append(path.name)
            super().__init__(path)

        def _table(self, group, columns):
            read.extend(each for each in columns if ":" in each)
            return super()._table(group, columns)

    monkeypatch.setattr(packed_module, "Shard", Watched)
    monkeypatch.setattr(packed_module, "OPEN", 1)
    keys = [key(number) for number in range(20)]
    found = dict(store.scan(keys, ("frame", "@")))
    assert len(found) == 20
    assert all(sorted(each) == ["@", "frame"] for each in found.values())
    assert sorted(opened) == [path.name for path in shards(tmp_path)]
    assert set(read) == {"frame:i8", "@:u1"}


def test_a_put_after_packing_replaces_the_packed_entry(tmp_path):
    store = filled(tmp_path)
    pack_all(store)
    store.put(key(3), entry(3, seed=1), about(77))
    for _ in range(2):
        assert same(store.get(key(3)), entry(3, seed=1))
        assert same(dict(store.scan([key(3)]))[0], entry(3, seed=1))
        assert list(FileStore(tmp_path).known([key(3)])) == [about(77)]
        pack_all(store)
    assert fresh(tmp_path) == []


def test_what_was_dropped_after_packing_is_gone_for_everybody(tmp_path):
    store, other = filled(tmp_path), FileStore(tmp_path)
    pack_all(store)
    store.put(key(3), entry(3), about(3))
    assert other.get(key(3)) is not None
    store.drop([key(number) for number in (2, 3, 99)])
    for each in (store, other, FileStore(tmp_path)):
        assert list(each.known([key(2), key(3)])) == [None, None]
        assert [each.get(key(number)) is None for number in (1, 2, 3, 4)] == [0, 1, 1, 0]
    store.put(key(2), entry(2), about(2))
    assert same(other.get(key(2)), entry(2))


def test_entries_that_another_process_puts_or_packs_are_found(tmp_path):
    mine, other = FileStore(tmp_path), FileStore(tmp_path)
    assert list(mine.known([key(1)])) == [None]
    other.put(key(1), entry(1), about(1))
    assert list(mine.known([key(1)])) == [about(1)]
    assert same(mine.get(key(1)), entry(1))
    pack_all(other)
    assert list(mine.known([key(1)])) == [about(1)]
    assert same(mine.get(key(1)), entry(1))
    assert mine.get(key(2)) is None
    other.put(key(2), entry(2), about(2))
    pack_all(other)
    assert same(mine.get(key(2)), entry(2))


def test_shards_and_parts_are_put_together_when_there_are_many(tmp_path):
    store, watching = FileStore(tmp_path), FileStore(tmp_path)
    for number in range(20):
        store.put(key(number), entry(number), about(number, ("detections", "flow")[number % 2]))
        pack_all(store)
        assert watching.get(key(number)) is not None
        assert len(shards(tmp_path)) < 2 * packing.MANY
        assert len(list((tmp_path / "manifest").iterdir())) <= packing.MANY
    assert whole(store)
    assert whole(watching)


def test_a_shard_of_which_half_is_dropped_is_written_anew(tmp_path):
    store = filled(tmp_path)
    pack_all(store)
    before = shards(tmp_path)
    store.drop([key(number) for number in range(0, 14, 2)])
    tidy(store.packed)
    after = shards(tmp_path)
    assert before[1] in after
    assert before[0] not in after
    assert len(after) == 2
    assert [store.get(key(number)) is None for number in range(0, 20, 2)] == [1] * 7 + [0] * 3
    store.drop([key(number) for number in range(0, 20, 2)])
    tidy(store.packed)
    assert shards(tmp_path) == before[1:]
    assert all(store.get(key(number)) is not None for number in range(1, 20, 2))


def test_many_parts_about_dropped_entries_are_put_together_whatever_is_fresh(tmp_path):
    store = filled(tmp_path, 40)
    pack_all(store)
    for number in range(0, 40, 1):
        store.drop([key(number)])
        store.pack()
    assert len(list((tmp_path / "manifest").iterdir())) < 4 * packing.MANY
    assert all(store.get(key(number)) is None for number in range(40))


def test_a_reader_goes_on_when_shards_are_written_anew_or_lost_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MANY", 2)
    for start in range(0, 20, 5):
        filled(tmp_path, 5, start=start)
        packing._pack(FileStore(tmp_path), [])
        store = FileStore(tmp_path)
        files = list(store.fresh.files())
        packing._pack_files(store.packed, store.fresh, files)
    reader, keys = FileStore(tmp_path), [key(number) for number in range(20)]
    scan = reader.scan(keys)
    first = dict([next(scan)])
    tidy(FileStore(tmp_path).packed)
    assert len(first | dict(scan)) == 20
    assert whole(reader)
    shards(tmp_path)[0].unlink()
    assert sum(each is not None for each in reader.known(keys)) == 10
    assert sum(reader.get(each) is not None for each in keys) == 10
    assert reader.corrupt == []


# Damage ------------------------------------------------------------------------------------


def check_no_other_content(store, count=20):
    """Every entry is what was put, or absent and named; what is absent can be put anew."""
    absent = []
    for number in range(count):
        back = store.get(key(number))
        if back is None:
            absent.append(number)
            assert list(store.known([key(number)])) == [None]
        else:
            assert same(back, entry(number))
    return absent


@pytest.mark.parametrize("part", ["shards", "manifest"])
def test_a_changed_bit_anywhere_is_never_read_as_other_content(tmp_path, part):
    store = filled(tmp_path / "whole", 4)
    pack_all(store)
    rng = random.Random(1)
    for path in sorted((tmp_path / "whole" / part).iterdir()):
        data = path.read_bytes()
        every = range(0, len(data), 5) if SLOW else rng.sample(range(len(data)), 12)
        places = [*every, *range(len(data) - 9, len(data))]
        for place in places:
            root = tmp_path / "damaged"
            shutil.copytree(tmp_path / "whole", root)
            changed = bytearray(data)
            changed[place] ^= 1 << rng.randrange(8)
            (root / part / path.name).write_bytes(changed)
            damaged = FileStore(root)
            absent = check_no_other_content(damaged, 4)
            assert not absent or damaged.corrupt == [root / part / path.name]
            if part == "manifest":
                assert absent == []  # it is made again from the shards
            assert check_no_other_content(FileStore(root), 4) == absent
            for number in absent:
                damaged.put(key(number), entry(number), about(number))
            pack_all(damaged)
            assert check_no_other_content(FileStore(root), 4) == []
            shutil.rmtree(root)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_shard_cut_short_is_noticed_and_its_entries_are_absent(tmp_path, share):
    pack_all(filled(tmp_path))
    path = shards(tmp_path)[0]
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    store = FileStore(tmp_path)
    found = dict(store.scan([key(number) for number in range(20)]))
    assert sorted(found) == list(range(1, 20, 2))
    assert store.corrupt == [path]
    assert check_no_other_content(store) == list(range(0, 20, 2))
    assert not path.exists()


def test_lost_and_foreign_files_do_no_harm(tmp_path):
    pack_all(filled(tmp_path))
    for name in ("notes.txt", f"detections-{'0' * 16}-{'0' * 32}.parquet", "flow-.parquet"):
        (tmp_path / "shards" / name).write_text("mine")
        (tmp_path / "manifest" / name).write_text("mine")
    shutil.copy(shards(tmp_path)[-1], tmp_path / "shards" / f"flow-{'1' * 16}-{'1' * 32}.parquet")
    assert whole(FileStore(tmp_path))
    shutil.rmtree(tmp_path / "manifest")
    store = FileStore(tmp_path)
    assert whole(store)
    pack_all(store)
    assert len(list((tmp_path / "manifest").glob("entries-*"))) == 1
    assert whole(FileStore(tmp_path))
    shutil.rmtree(tmp_path / "shards")
    assert check_no_other_content(FileStore(tmp_path)) == list(range(20))


def test_a_damaged_entry_is_removed_for_other_processes_too_and_its_neighbours_stay(tmp_path):
    store = FileStore(tmp_path)
    for number in range(6):
        arrays = {"a": np.random.default_rng(number).random(200_000), "b": np.arange(3)}
        store.put(key(number), arrays, about(number))
    pack_all(store)
    (path,) = shards(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    reader, late = FileStore(tmp_path), FileStore(tmp_path)
    assert reader.peek(key(0), ("b",)) is not None
    absent = [number for number in range(6) if reader.get(key(number)) is None]
    assert len(absent) == 1
    assert reader.corrupt == [path]
    assert [late.known([key(number)])[0] is None for number in absent] == [True]
    pack_all(late)
    assert sum(late.get(key(number)) is not None for number in range(6)) == 5


def test_damage_in_a_shard_that_is_closed_meanwhile_costs_no_other_entry(tmp_path, monkeypatch):
    pack_all(filled(tmp_path))
    store = FileStore(tmp_path)
    monkeypatch.setattr(packed_module, "OPEN", 1)
    assert store.get(key(0)) is not None  # what was decoded for it stays in memory
    assert len(list(store.scan([key(1)]))) == 1  # of another shard: the first is closed
    with monkeypatch.context() as patch:
        patch.setattr(packed_module, "from_table", lambda table, rows, names: [(rows[0], None)])
        assert (
            store.packed.entry(store.packed.index.place(store.packed.find([key(2)])[1][0])) is None
        )
    assert len(shards(tmp_path)) == 2
    assert store.get(key(2)) is None
    assert all(same(store.get(key(number)), entry(number)) for number in range(20) if number != 2)


def test_once_something_was_found_damaged_what_is_known_was_read(tmp_path):
    """Else each damaged entry would end a run of its own."""
    pack_all(filled(tmp_path, 6))
    filled(tmp_path, 6, start=6)
    for path in [*shards(tmp_path), *fresh(tmp_path)[1:3]]:
        data = bytearray(path.read_bytes())
        data[len(data) // 4] ^= 4
        path.write_bytes(data)
    store = FileStore(tmp_path)
    keys = [key(number) for number in range(12)]
    assert store.known(keys).there.all()
    first = next(number for number in range(12) if store.get(key(number)) is None)
    told = store.known(keys).there
    assert not told[first]
    assert [store.get(each) is not None for each in keys] == told.tolist()
    assert (~told).sum() > 2


def test_a_store_that_is_read_only_reports_damage_and_changes_nothing(tmp_path):
    pack_all(filled(tmp_path))
    path = shards(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-9])
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    store = FileStore(tmp_path, read_only=True)
    assert check_no_other_content(store) == list(range(0, 20, 2))
    store.pack()
    pack_all(store)
    assert store.corrupt == [path]
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_handle_that_a_file_server_calls_stale_is_opened_again(tmp_path, monkeypatch):
    pack_all(filled(tmp_path))
    real, calls = packed_module.Shard.table, []

    def stale(self, group, names):
        calls.append(self.path.name)
        if len(calls) in (1, 4):
            raise OSError(errno.ESTALE, "Stale file handle", str(self.path))
        return real(self, group, names)

    monkeypatch.setattr(packed_module.Shard, "table", stale)
    assert whole(FileStore(tmp_path))
    assert len(calls) > 4


def test_a_shard_that_is_listed_and_gone_counts_as_not_there(tmp_path, monkeypatch):
    """As file systems tell of late that another machine has removed a file."""
    pack_all(filled(tmp_path))
    gone, real = shards(tmp_path)[0], packed_module.Shard

    def opened(path):
        if path == gone:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return real(path)

    monkeypatch.setattr(packed_module, "Shard", opened)
    store = FileStore(tmp_path)
    assert check_no_other_content(store) == list(range(0, 20, 2))
    assert sorted(at for at, _ in store.scan([key(n) for n in range(20)])) == list(range(1, 20, 2))
    assert store.corrupt == []


def test_a_shard_that_cannot_be_read_is_an_error_and_not_absent(tmp_path, monkeypatch):
    pack_all(filled(tmp_path))

    def refused(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(packed_module, "Shard", refused)
    store = FileStore(tmp_path)
    for asking in (lambda: store.get(key(1)), lambda: list(store.scan([key(1)]))):
        with pytest.raises(InputError, match="input/output error"):
            asking()
    assert store.corrupt == []


# Kills, and several at once ------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from vidal.store import FileStore, packing
from test_packing import filled
os.fsync = lambda handle: None
root, action = Path(sys.argv[1]), sys.argv[2]
events = ("open", "os.rename", "os.remove", "os.mkdir")
packing.MANY = 2

def run(last):
    store, count = FileStore(root / str(last)), 0
    def watch(event, args):
        nonlocal count
        if event in events and str(root) in str(args[0]):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    if action == "drop":
        from test_packing import key
        store.drop([key(number) for number in range(0, 20, 2)])
        packing.tidy(store.packed)
    else:
        packing.pack_all(store)
    os._exit(7)

last = 0
while True:
    last += int(sys.argv[4])
    filled(root / str(last), 3)
    packing.pack_all(FileStore(root / str(last)))
    if action == "pack":
        filled(root / str(last), 3, start=3)
    child = os.fork() or run(last)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        sys.exit(0 if os.WEXITSTATUS(status) == 7 else 3)
"""


def killed(tmp_path, action):
    """Stores of which each was left by a process killed one step later than the one before."""
    given = [tmp_path, action, Path(__file__).parent, "1" if SLOW else "4"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, *given], env=env, check=False)
    assert done.returncode == 0
    roots = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(roots) > 3
    return roots


def test_a_packer_killed_at_any_step_loses_nothing(tmp_path):
    for root in killed(tmp_path, "pack"):
        store = FileStore(root)
        assert whole(store, 6)
        assert store.corrupt == []
        pack_all(store)
        assert whole(store, 6)
        assert fresh(root) == []
        listed = [path for path in (root / "shards").iterdir() if not path.name.startswith(".")]
        assert len(listed) <= 2 * packing.MANY


def test_who_is_killed_at_any_step_of_dropping_leaves_whole_entries(tmp_path):
    for root in killed(tmp_path, "drop"):
        store = FileStore(root)
        absent = check_no_other_content(store, 3)
        assert absent in ([], [0, 2])
        assert store.corrupt == []
        store.drop([key(0), key(2)])
        tidy(store.packed)
        assert check_no_other_content(FileStore(root), 3) == [0, 2]


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from vidal.store import FileStore, packing
from test_packing import about, entry, key, same
number, store = int(sys.argv[2]), FileStore(Path(sys.argv[1]))
packing.MANY = 3
if sys.argv[4] == "alone":
    packing.locked = lambda *args: packing.ExitStack()
count = int(sys.argv[5])
for round_ in range(count // 6):
    for each in range(count):
        if each % 3 == number:
            store.put(key(each), entry(each), about(each, ("detections", "flow")[each % 2]))
    packing.pack_all(store)
    found = [store.get(key(each)) for each in range(count)]  # those of others come meanwhile
    assert all(each is None or same(each, entry(at)) for at, each in enumerate(found))
    absent = [at for at, each in enumerate(found) if each is None]
    mine = [each for each in absent if each % 3 == number]
    assert not mine, mine
    assert not store.corrupt, store.corrupt
    known = store.known([key(each) for each in range(count)])
    assert all(known[each] == about(each, ("detections", "flow")[each % 2])
               for each in range(number, count, 3))
"""


@pytest.mark.parametrize("locks", ["alone", "locked"])
def test_writers_packers_and_readers_of_one_folder_do_not_disturb_each_other(tmp_path, locks):
    """With locks, and on a file system that has none."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    count = 60 if SLOW else 18
    given = [str(Path(__file__).parent), locks, str(count)]
    start = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [subprocess.Popen([*start, str(n), *given], env=env) for n in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    store = FileStore(tmp_path)
    assert whole(store, count)
    pack_all(store)
    assert whole(FileStore(tmp_path), count)
    assert len(shards(tmp_path)) < 2 * packing.MANY


def test_a_full_disk_is_named_and_nothing_is_lost_or_half_written(tmp_path, monkeypatch):
    store = filled(tmp_path)
    real, written = packing.write_shard, []

    def full(folder, stage, layouts, entries, after):
        def some():
            for number, each in enumerate(entries):
                if number == 5:
                    raise OSError(28, "No space left on device")
                yield each

        written.append(stage)
        return real(folder, stage, layouts, some(), after)

    monkeypatch.setattr(packing, "write_shard", full)
    with pytest.raises(OutputError, match="no space left on device"):
        pack_all(store)
    assert written == ["detections"]
    assert list((tmp_path / "shards").iterdir()) == []
    assert whole(store)
    monkeypatch.setattr(packing, "write_shard", real)
    pack_all(store)
    assert whole(store)


# The layout of earlier versions ------------------------------------------------------------


def test_entries_of_an_earlier_version_are_read_where_they_are_and_packed_when_asked(tmp_path):
    from vidal.store import npz

    for number in range(4):
        path = tmp_path / key(number)[:2] / f"{key(number)}.npz"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            npz.write(file, {"prints": np.arange(number, dtype=np.uint64)}, None)
    store, keys = FileStore(tmp_path), [key(number) for number in range(5)]
    for stage in ("", "prints"):
        assert list(store.known(keys)) == [Stored(stage)] * 4 + [None]
        assert sorted(at for at, _ in store.scan(keys)) == [0, 1, 2, 3]
        assert store.get(key(3))["prints"].tolist() == [0, 1, 2]
        pack_all(store)
    assert list(tmp_path.rglob("*.npz")) == []
    assert len(shards(tmp_path)) == 1


def test_an_entry_of_an_earlier_version_is_replaced_and_dropped_like_others(tmp_path):
    from vidal.store import npz

    for number in range(3):
        path = tmp_path / key(number)[:2] / f"{key(number)}.npz"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            npz.write(file, {"prints": np.arange(3, dtype=np.uint64)}, None)
    store = FileStore(tmp_path)
    store.put(key(0), entry(0), about(0))
    store.drop([key(1)])
    assert same(store.get(key(0)), entry(0))
    assert store.get(key(1)) is None
    assert [path.parent.parent.name for path in sorted(tmp_path.rglob("*.npz"))] == [
        tmp_path.name,
        "fresh",
    ] or len(list(tmp_path.rglob("*.npz"))) == 2
    store.drop([key(0)])
    assert store.get(key(0)) is None
