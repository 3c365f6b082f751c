import io
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import InputError, OutputError
from vidal.store.atomic import DAY, SUFFIX
from vidal.store.npz import seal as _seal
from vidal.store.stores import FileStore

KEY, OTHER = "ab" * 16, "cd" * 16
ENTRY = {"boxes": np.arange(40, dtype=np.float32).reshape(10, 4), "labels": np.arange(10)}


def a_store(tmp_path):
    return FileStore(tmp_path / "store")


def files(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_an_entry_is_one_npz_file_that_numpy_reads(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    assert files(store.root) == [f"{KEY}.npz"]
    assert store.path(KEY) == tmp_path / "store" / "fresh" / "ab" / f"{KEY}.npz"
    with np.load(store.path(KEY), allow_pickle=False) as loaded:
        np.testing.assert_array_equal(loaded["boxes"], ENTRY["boxes"])


def test_equal_entries_are_equal_files(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    store.put(OTHER, ENTRY)
    assert store.path(KEY).read_bytes() == store.path(OTHER).read_bytes()


def test_another_process_sees_the_entries(tmp_path):
    a_store(tmp_path).put(KEY, ENTRY)
    np.testing.assert_array_equal(a_store(tmp_path).get(KEY)["labels"], ENTRY["labels"])


def test_a_changed_bit_is_never_read_as_other_content(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    raw = store.path(KEY).read_bytes()
    absent = 0
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << (place % 8)
        store.path(KEY).write_bytes(changed)
        store.corrupt.clear()
        back = store.get(KEY)
        absent += back is None
        assert store.corrupt == ([store.path(KEY)] if back is None else [])
        if back is not None:  # a byte that carries no content, such as a time stamp
            assert back.keys() == ENTRY.keys()
            assert all(np.array_equal(back[name], ENTRY[name]) for name in ENTRY)
    assert absent > sum(array.nbytes for array in ENTRY.values())


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.999])
def test_an_entry_cut_short_is_absent_and_listed(tmp_path, share):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    raw = store.path(KEY).read_bytes()
    store.path(KEY).write_bytes(raw[: int(share * len(raw))])
    assert store.get(KEY) is None
    assert store.get(KEY) is None
    assert store.corrupt == [store.path(KEY)]


def test_reading_takes_no_more_memory_than_the_arrays(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, {"large": np.arange(4_000_000, dtype=np.float32), "small": np.ones(3)})
    tracemalloc.start()
    back = store.get(KEY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    store.peek(KEY, ("small",))
    now, peeked = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * back["large"].nbytes
    assert peeked - now < 200_000


def test_a_damaged_entry_is_removed_so_that_nobody_believes_it_is_there(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    raw = bytearray(store.path(KEY).read_bytes())
    raw[raw.index(ENTRY["boxes"].tobytes()) + 5] ^= 1
    store.path(KEY).write_bytes(raw)
    assert store.peek(KEY, ("labels",)) is not None
    store.put(OTHER, ENTRY)
    store.path(OTHER).write_bytes(raw)
    assert store.get(KEY) is None
    assert not store.path(KEY).exists()
    assert store.peek(KEY, ()) is None
    assert store.peek(OTHER, ("labels",)) is None  # where one is damaged, others are looked at


def test_a_header_that_claims_more_than_there_is_is_not_believed(tmp_path):
    store = a_store(tmp_path)
    store.path(KEY).parent.mkdir(parents=True)
    with store.path(KEY).open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        member = io.BytesIO()
        head = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
        np.lib.format.write_array_header_1_0(member, head)
        archive.writestr("boxes.npy", member.getvalue() + bytes(64))
        archive.comment = _seal(archive)
    assert store.get(KEY) is None


def test_putting_a_damaged_entry_anew_repairs_it(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    store.path(KEY).write_bytes(b"nothing of use")
    assert store.get(KEY) is None
    store.put(KEY, ENTRY)
    assert store.get(KEY) is not None
    assert store.corrupt == []


def test_an_entry_that_cannot_be_read_is_an_error_and_not_absent(tmp_path):
    store = a_store(tmp_path)
    store.path(KEY).mkdir(parents=True)
    with pytest.raises(InputError, match="is a directory"):
        store.get(KEY)


def test_a_pickle_in_an_entry_is_not_loaded(tmp_path):
    store = a_store(tmp_path)
    store.path(KEY).parent.mkdir(parents=True)
    np.savez(store.path(KEY), a=np.array([{}], dtype=object))
    assert store.get(KEY) is None
    assert store.corrupt == [store.path(KEY)]


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*store: file exists"):
        a_store(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_without_write_permission_is_refused(tmp_path):
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="permission denied"):
        a_store(tmp_path)


def test_a_root_on_a_read_only_file_system_is_refused():
    with pytest.raises(OutputError, match="cannot write /proc"):
        FileStore(Path("/proc/vidal-store"))


def test_a_failed_put_leaves_the_former_entry_and_no_temporary_file(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        store.put(KEY, {"a": np.zeros(1000), "b": np.array([{}], dtype=object)})
    assert files(store.root) == [f"{KEY}.npz"]
    assert store.get(KEY).keys() == ENTRY.keys()


def test_old_temporary_files_are_deleted_when_a_store_is_opened(tmp_path):
    store = a_store(tmp_path)
    store.put(KEY, ENTRY)
    old, young = (store.path(KEY).parent / f".{name}{SUFFIX}" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * DAY,) * 2)
    a_store(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert store.path(KEY).exists()


WRITER = """
import sys
import numpy as np
from pathlib import Path
from vidal.store.npz import seal as _seal
from vidal.store.stores import FileStore
store = FileStore(Path(sys.argv[1]))
print("ready", flush=True)
version = 0
while True:
    version += 1
    store.put("ab" * 16, {"first": np.full(200_000, version), "last": np.full(200_000, version)})
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_entry(tmp_path):
    """Twelve kills at random moments of a loop that does nothing but put."""
    moments = random.Random(5)
    seen = set()
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0.0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = a_store(tmp_path)
        entry = store.get(KEY)
        assert store.corrupt == []
        if entry is not None:
            assert entry["first"].shape == entry["last"].shape == (200_000,)
            assert len(np.unique(np.concatenate([entry["first"], entry["last"]]))) == 1
            seen.add(int(entry["first"][0]))
    assert seen


SMALL = """
import sys
import numpy as np
from pathlib import Path
from vidal.store.stores import FileStore
store = FileStore(Path(sys.argv[1]))
store.put("ab" * 16, {"a": np.zeros(3)})
assert store.known(["ab" * 16, "cd" * 16]).there.tolist() == [True, False]
assert store.get("cd" * 16) is None
assert len(list(store.scan(["ab" * 16]))) == 1
store.drop(["cd" * 16])
store.pack()
assert "pyarrow" not in sys.modules
"""


def test_a_small_store_does_without_arrow(tmp_path):
    """It takes 40 MB of every worker."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", SMALL, str(tmp_path)], env=env, check=True)
