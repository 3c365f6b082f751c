"""Workers that start before their work is known: taken over or ended, never left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from vidal.engine import ProcessEngine, Standby

ROOT = Path(__file__).parents[3]


def alive(pid):
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(standby):
    return [worker.process.pid for worker in standby._waiting]


def own_ids(engine, items):
    return set(engine.map(partial(eval, "__import__('os').getpid()"), [{}] * items))


def test_workers_that_wait_are_taken_over_and_end_with_the_map():
    with Standby() as standby:
        engine = ProcessEngine(2, standby=standby)
        standby.start(2, engine.terms, ())
        waiting = pids(standby)
        assert own_ids(engine, 6) <= set(waiting)
        assert pids(standby) == []
        assert not any(map(alive, waiting))
        assert len(own_ids(engine, 1)) == 1  # none waits any more: one is hired as ever


def test_workers_on_other_terms_end_and_others_are_hired():
    with Standby() as standby:
        standby.start(1, ProcessEngine(1, threads=2).terms, ())
        waiting = pids(standby)
        assert not own_ids(ProcessEngine(1, threads=1, standby=standby), 1) & set(waiting)
        assert not any(map(alive, waiting))


def test_workers_that_nobody_takes_end_with_the_block_also_by_an_error():
    waiting = []

    def interrupted():
        with Standby() as standby:
            standby.start(2, ProcessEngine(2).terms, ("numpy",))
            waiting.extend(pids(standby))
            assert all(map(alive, waiting))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(waiting) == 2
    assert not any(map(alive, waiting))


def test_more_are_not_started_while_some_wait():
    with Standby() as standby:
        standby.start(1, ProcessEngine(1).terms, ())
        waiting = pids(standby)
        standby.start(3, ProcessEngine(1).terms, ())
        assert pids(standby) == waiting


def test_a_worker_killed_while_it_waits_is_replaced():
    with Standby() as standby:
        engine = ProcessEngine(1, standby=standby)
        standby.start(1, engine.terms, ())
        (worker,) = standby._waiting
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
        assert own_ids(engine, 1) != {worker.process.pid}


def test_workers_import_before_their_first_item_what_is_named():
    with Standby() as standby:
        engine = ProcessEngine(1, standby=standby)
        standby.start(1, engine.terms, ("no.such.module", "colorsys"))
        loaded = partial(eval, "'colorsys' in __import__('sys').modules")
        assert list(engine.map(loaded, [{}])) == [True]


def test_a_module_that_cannot_be_imported_is_told_with_the_item_that_needs_it():
    with Standby() as standby:
        engine = ProcessEngine(1, standby=standby)
        standby.start(1, engine.terms, ("no_such_module",))
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            list(engine.map(import_module, ["no_such_module"]))


SCRIPT = """
import sys, time
from vidal.engine import ProcessEngine, Standby
if __name__ == "__main__":
    try:
        with Standby() as standby:
            standby.start(2, ProcessEngine(2).terms, ("numpy",))
            print(*[worker.process.pid for worker in standby._waiting], flush=True)
            time.sleep(600)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_no_waiting_worker_outlives_its_parent_or_says_a_word(tmp_path, number, status):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    waiting = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(waiting) == 2
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)  # as the terminal does: everybody hears it
    else:
        parent.send_signal(number)
    _, said = parent.communicate(timeout=300)
    assert (parent.returncode, said) == (status, "")
    end = time.monotonic() + 60
    while any(map(alive, waiting)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(alive, waiting))
