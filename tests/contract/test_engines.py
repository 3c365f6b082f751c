"""What every engine has to satisfy, and what only worker processes can get wrong."""

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import active_children, connection
from pathlib import Path

import numpy as np
import pytest

from vidal.assemble import ENGINES as REGISTERED
from vidal.engine import ray_session
from vidal.engine.local import LocalEngine
from vidal.engine.process import ProcessEngine
from vidal.engine.progress import report, throttled
from vidal.engine.ray import RayEngine
from vidal.errors import UnreadableClip, UsageError, WorkerLost
from vidal.protocols import Engine

HERE = Path(__file__).parent
ENGINES = {
    "local": LocalEngine,
    "one process": partial(ProcessEngine, 1),
    "two processes": partial(ProcessEngine, 2),
    "two Ray actors": partial(RayEngine, 2),
}
KILLED = ("one process", "two processes", "two Ray actors")
"""Engines whose workers can be killed."""
RAY = importlib.util.find_spec("ray") is not None
NEEDS_RAY = pytest.mark.skipif(not RAY, reason="Ray is not installed (pip install vidal-al[ray])")


@pytest.fixture
def work(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("engine_work")


@pytest.fixture(scope="session")
def ray_runs():
    """One local Ray for all tests of the file; workers of each test are its own."""
    if not RAY:
        pytest.skip("Ray is not installed (pip install vidal-al[ray])")
    with ray_session.session(None, cpus=2, gpus=0) as ray:
        yield ray


def made(request, name):
    if name == "two Ray actors":
        request.getfixturevalue("ray_runs")
    return ENGINES[name]


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return made(request, request.param)


@pytest.fixture(params=KILLED)
def killed_engine(request):
    return made(request, request.param)


def test_every_engine_of_vidal_is_in_this_suite():
    made_of = {getattr(each, "func", each) for each in ENGINES.values()}
    assert made_of == set(REGISTERED.values())


def running(pid):
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def within(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_is_an_engine(engine):
    assert isinstance(engine(), Engine)


def test_results_come_in_the_order_of_the_items(engine, work):
    assert list(engine().map(work.slow_first, range(5))) == [0, 1, 2, 3, 4]


def test_no_items_no_results(engine, work):
    assert list(engine().map(work.double, [])) == []


def test_items_are_taken_lazily(engine, work):
    taken = []
    results = engine().map(work.double, (taken.append(i) or i for i in range(10_000)))
    assert taken == []
    assert next(results) == 0
    assert len(taken) < 100
    results.close()


def test_results_before_a_failing_item_are_given(engine, work):
    results = engine().map(work.fail_on_three, range(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UnreadableClip) as failed:
        next(results)
    assert failed.value.hint == "Is it a video?"
    assert failed.value.path == Path("street.mp4")
    assert "while processing item 3: 3" in failed.value.__notes__


def test_a_failing_source_of_items_fails_the_run(engine, work):
    def items():
        yield 1
        raise OSError("list unreadable")

    with pytest.raises(OSError, match="list unreadable"):
        list(engine().map(work.double, items()))


def test_progress_reaches_the_listener_with_the_item(engine, work):
    heard = []
    list(engine(listener=lambda *said: heard.append(said)).map(work.steps, [3, 1]))
    assert (0, 3, 3) in heard
    assert (1, 1, 1) in heard
    assert {(position, total) for position, _, total in heard} == {(0, 3), (1, 1)}
    of_first = [done for position, done, _ in heard if position == 0]
    assert of_first == sorted(of_first)


def test_reporting_is_allowed_where_nobody_listens(engine, work):
    report(1, 2)
    assert list(engine().map(work.steps, [2])) == [2]


def test_an_engine_can_be_used_again(engine, work):
    same = engine()
    assert [*same.map(work.double, [1]), *same.map(work.double, [2])] == [2, 4]


def test_throttling_passes_the_last_report_on():
    passed = []
    reporter = throttled(lambda *said: passed.append(said), interval=3600)
    for done in range(1, 6):
        reporter(done, 5)
    assert passed == [(1, 5), (5, 5)]


def test_two_workers_are_two_other_processes(work):
    pids = set(ProcessEngine(2).map(work.process_id, range(8)))
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_no_more_workers_than_items(work):
    assert len(set(ProcessEngine(4).map(work.process_id, [0]))) == 1


def test_threads_are_limited_before_a_worker_starts_and_told_to_the_initializer(work):
    before = os.environ.get("OMP_NUM_THREADS")
    engine = ProcessEngine(1, threads=3, initializer=work.initialise)
    assert list(engine.map(work.environment, [0])) == [("3", "3")]
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_failing_initializer_is_reported(work):
    with pytest.raises(ValueError, match="no such device"):
        list(ProcessEngine(1, initializer=work.fail_to_initialise).map(work.double, [1]))


def test_an_exception_that_cannot_travel_is_reported_by_name(work):
    with pytest.raises(RuntimeError, match="Awkward: 5 and more"):
        list(ProcessEngine(1).map(work.raise_what_cannot_travel, [5]))


def test_a_result_that_cannot_travel_is_an_error_and_no_hang(work):
    with pytest.raises(Exception, match=r"pickle|local object"):
        list(ProcessEngine(1).map(work.return_what_cannot_travel, [5]))


def test_an_item_whose_worker_is_killed_is_done_by_another_one(killed_engine, work, tmp_path):
    items = [(value, str(tmp_path), 2 if value == 1 else 0) for value in range(5)]
    assert list(killed_engine().map(work.die_while_told, items)) == [0, 1, 2, 3, 4]
    assert len(list(tmp_path.glob("1-*"))) == 3
    assert len(list(tmp_path.iterdir())) == 7  # no other item was begun twice


def test_the_progress_of_an_item_that_is_begun_again_begins_again(killed_engine, work, tmp_path):
    heard = []
    engine = killed_engine(listener=lambda *said: heard.append(said))
    assert list(engine.map(work.die_while_told, [("a", str(tmp_path), 1)])) == ["a"]
    assert heard == [(0, 1, 2), (0, 0, 2), (0, 1, 2), (0, 2, 2)]


def test_an_item_that_costs_three_workers_is_named_and_those_before_it_are_given(
    killed_engine, work
):
    results = killed_engine().map(work.kill_self_on_two, range(6))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(WorkerLost, match=r"^2: its worker was killed .*three times") as lost:
        next(results)
    assert lost.value.item == "2"
    assert lost.value.why.endswith("three times (out of memory?)")


def test_what_stands_for_a_lost_item_keeps_its_place_and_the_others_are_done(killed_engine, work):
    told = []

    def lost(item, error):
        told.append((item, error.why))
        return "lost"

    results = list(killed_engine().map(work.kill_self_on_two, range(6), lost=lost))
    assert results == [0, 1, "lost", 3, 4, 5]
    ((item, why),) = told
    assert item == 2
    assert "killed" in why


def test_where_every_item_costs_its_workers_the_run_ends(killed_engine, work):
    asked = []
    with pytest.raises(WorkerLost):
        list(killed_engine().map(work.leave, range(50), lost=lambda item, _: asked.append(item)))
    assert len(asked) == 2


def test_workers_that_die_at_their_start_are_not_hired_for_ever(killed_engine, work, tmp_path):
    start = partial(work.die_at_start, str(tmp_path))
    with pytest.raises(WorkerLost, match="no worker could start: one after the other was killed"):
        list(killed_engine(initializer=start).map(work.double, range(50)))
    assert 3 <= len(list(tmp_path.iterdir())) <= 5


def test_an_array_that_is_written_to_is_as_it_would_be_in_this_process(engine, work):
    (found,) = engine().map(work.change, [np.zeros(3)])
    assert found.tolist() == [1.0, 0.0, 0.0]
    found[1] = 5  # and results may be written to as well


def test_a_killed_process_is_named_by_its_signal_and_one_that_leaves_by_its_status(work):
    with pytest.raises(WorkerLost, match=r"was killed by SIGKILL three times \(out of memory\?\)"):
        list(ProcessEngine(1).map(work.kill_self_on_two, [2]))
    with pytest.raises(
        WorkerLost, match="'clip-a': its worker ended with exit status 7 three times"
    ):
        list(ProcessEngine(1).map(work.leave, ["clip-a"]))


def test_the_last_try_of_a_killed_item_has_the_machine_for_itself(work, tmp_path):
    items = [(value, str(tmp_path)) for value in range(8)]
    found = list(ProcessEngine(3).map(work.alone_at_last, items))
    assert [value for value, *_ in found] == list(range(8))
    (_, began, ended, pid), others = found[0], found[1:]
    assert all(end <= began or begin >= ended for _, begin, end, _ in others)
    assert pid not in {each[3] for each in others if each[2] <= began}  # nor an old worker


def test_a_worker_killed_within_its_answer_costs_a_try_and_no_more(work, tmp_path):
    note, go = tmp_path / "second", tmp_path / "go"
    items = [(str(tmp_path / "first"), str(note)), (str(note), str(go))]
    results = ProcessEngine(2).map(work.large, items)
    assert len(next(results)) == 1 << 24
    go.touch()
    time.sleep(0.5)  # nobody reads: it waits within its answer, which no pipe holds
    pid = int(note.read_text())
    os.kill(pid, signal.SIGKILL)
    assert len(next(results)) == 1 << 24
    assert int(note.read_text()) != pid


def workers_of(name):
    """Process ids of an engine's workers."""
    if name != "two Ray actors":
        return [each.pid for each in active_children()]
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::Hand"):
                found.append(int(place.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("two processes", 20),
        ("two Ray actors", 5),
        pytest.param("two Ray actors", 20, marks=pytest.mark.slow),
    ],
)
def test_workers_killed_at_random_moments_change_nothing(name, kills, request, work, capfd):
    rng = np.random.default_rng(13)
    engine, done, left, due = made(request, name), [], kills, 0.0
    items = range(12 * kills)
    for result in engine().map(work.busy, items):
        done.append(result)
        alive = sorted(workers_of(name))
        if left and alive and time.monotonic() >= due:
            os.kill(int(rng.choice(alive)), signal.SIGKILL)
            left -= 1
            due = time.monotonic() + rng.uniform(0.05, 0.2)
    assert left == 0
    assert done == [item * item for item in items]
    time.sleep(0.5)  # Ray's messages would come from a thread
    assert capfd.readouterr() == ("", "")


def test_workers_end_with_the_iteration(work, tmp_path):
    results = ProcessEngine(2).map(work.process_id, range(10))
    pid = next(results)
    assert running(pid)
    results.close()
    assert not running(pid)


@pytest.mark.parametrize(("workers", "threads"), [(0, 1), (-1, 1), (1, 0)])
def test_fewer_than_one_worker_or_thread_is_refused(workers, threads):
    with pytest.raises(UsageError, match="at least 1"):
        ProcessEngine(workers, threads)


def test_an_interrupt_just_before_the_wait_for_workers_is_heeded(work, monkeypatch):
    """It has been handled when the wait begins, so that nothing ends the wait but its time."""
    waits = []

    def wait(channels, timeout=None):
        if all(isinstance(each, connection.Connection) for each in channels):
            waits.append(timeout)  # for workers' words, not for their end
        return real(channels, timeout)

    real = connection.wait
    monkeypatch.setattr("vidal.engine.process.connection.wait", wait)
    assert list(ProcessEngine(2).map(work.double, range(4))) == [0, 2, 4, 6]
    assert waits
    assert all(timeout is not None and timeout <= 1 for timeout in waits)


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from engine_work import note_and_sleep
from vidal.engine import ProcessEngine, RayEngine
if __name__ == "__main__":
    try:
        list({engine}(2).map(note_and_sleep, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
"""


ENDINGS = [
    (signal.SIGINT, 130),
    (signal.SIGTERM, -signal.SIGTERM),
    (signal.SIGKILL, -signal.SIGKILL),
]


@pytest.mark.parametrize(
    ("engine", "number", "status"),
    [
        *(("ProcessEngine", *each) for each in ENDINGS),
        *(
            pytest.param("RayEngine", *each, marks=[pytest.mark.slow, NEEDS_RAY])
            for each in (ENDINGS[0], ENDINGS[2])
        ),
    ],
)
def test_no_worker_outlives_its_parent(tmp_path, engine, number, status):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(here=str(HERE), engine=engine))
    notes = [tmp_path / "one", tmp_path / "two"]
    root = str(HERE.parent.parent)
    parent = subprocess.Popen(
        [sys.executable, str(script), *map(str, notes)], env={**os.environ, "PYTHONPATH": root}
    )
    try:
        assert within(120, lambda: all(note.exists() and note.read_text() for note in notes))
        workers = [int(note.read_text()) for note in notes]
        assert all(map(running, workers))
        parent.send_signal(number)
        assert parent.wait(30) == status
        assert within(20, lambda: not any(map(running, workers)))
    finally:
        parent.kill()
        parent.wait()


@NEEDS_RAY
@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:x"])
def test_a_cluster_that_is_not_there_is_refused_at_once_in_one_line(address):
    script = (
        "from vidal.engine import RayEngine\nfrom vidal.errors import UsageError\n"
        f"try:\n    list(RayEngine(address={address!r}).map(abs, [1]))\n"
        "except UsageError as error:\n    print(error.message)\n"
    )
    hidden = {k: v for k, v in os.environ.items() if not k.startswith("RAY")}
    env = {**hidden, "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Ray at {address!r}: ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_what_a_worker_printed_is_not_lost_and_its_end_is_not_waited_for(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        SCRIPT.replace("note_and_sleep", "say").format(here=str(HERE), engine="ProcessEngine")
    )
    root = str(HERE.parent.parent)
    done = subprocess.run(
        [sys.executable, str(script), "one", "two"],
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "said one", "said two"]


UNGUARDED = """
print("begun", flush=True)
from vidal.engine import ProcessEngine
print(list(ProcessEngine(2).map(abs, [1, -2, 3])))
"""


@pytest.mark.parametrize("read", ["file", "input"])
def test_a_script_needs_no_guard_and_runs_once(tmp_path, read):
    """Nobody writes ``if __name__ == "__main__":`` around three lines."""
    script = tmp_path / "run.py"
    script.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, str(script) if read == "file" else "-"],
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
        input=UNGUARDED,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "begun\n[1, 2, 3]\n", done.stderr
    assert done.stderr == ""
