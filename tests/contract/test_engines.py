"""What every engine has to satisfy, and what only worker processes can get wrong."""

import importlib
import os
import signal
import subprocess
import sys
import time
from multiprocessing import connection
from pathlib import Path

import pytest

from vidal.engine.local import LocalEngine
from vidal.engine.process import ProcessEngine
from vidal.engine.progress import report, throttled
from vidal.errors import UnreadableClip, UsageError, WorkerLost
from vidal.protocols import Engine

HERE = Path(__file__).parent
ENGINES = {
    "local": LocalEngine,
    "one process": lambda **options: ProcessEngine(1, **options),
    "two processes": lambda **options: ProcessEngine(2, **options),
}


@pytest.fixture
def work(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("engine_work")


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return ENGINES[request.param]


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


def test_a_killed_worker_is_named_with_its_item(work):
    results = ProcessEngine(2).map(work.kill_self_on_two, range(6))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(WorkerLost, match="2: the worker process was killed by SIGKILL"):
        next(results)


def test_a_worker_that_leaves_is_named_with_its_status(work):
    with pytest.raises(WorkerLost, match="'clip-a': the worker process ended with exit status 7"):
        list(ProcessEngine(1).map(work.leave, ["clip-a"]))


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
from vidal.engine.process import ProcessEngine
if __name__ == "__main__":
    try:
        list(ProcessEngine(2).map(note_and_sleep, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_no_worker_outlives_its_parent(tmp_path, number, status):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(here=str(HERE)))
    notes = [tmp_path / "one", tmp_path / "two"]
    root = str(HERE.parent.parent)
    parent = subprocess.Popen(
        [sys.executable, str(script), *map(str, notes)], env={**os.environ, "PYTHONPATH": root}
    )
    try:
        assert within(30, lambda: all(note.exists() and note.read_text() for note in notes))
        workers = [int(note.read_text()) for note in notes]
        assert all(map(running, workers))
        parent.send_signal(number)
        assert parent.wait(30) == status
        assert within(5, lambda: not any(map(running, workers)))
    finally:
        parent.kill()
        parent.wait()


def test_what_a_worker_printed_is_not_lost_and_its_end_is_not_waited_for(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.replace("note_and_sleep", "say").format(here=str(HERE)))
    root = str(HERE.parent.parent)
    done = subprocess.run(
        [sys.executable, str(script), "one", "two"],
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "said one", "said two"]
