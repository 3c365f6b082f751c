"""Which engine for how much work."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from vidal.assemble import selection
from vidal.assemble.selection import plan_selection
from vidal.engine import LocalEngine, ProcessEngine
from vidal.evidence.places import FEW, Engines, cores


def test_no_work_and_little_light_work_stay_in_this_process():
    assert isinstance(Engines(4, "cpu")(0, heavy=True), LocalEngine)
    assert isinstance(Engines(4, "cpu")(FEW, heavy=False), LocalEngine)


def test_asking_for_one_worker_stays_in_this_process():
    assert isinstance(Engines(1, "cpu")(50, heavy=True), LocalEngine)


def test_workers_share_the_cores():
    engine = Engines(4, "cpu")(50, heavy=True)
    assert isinstance(engine, ProcessEngine)
    assert (engine.workers, engine.threads) == (4, max(1, cores() // 4))


def test_no_more_workers_than_items():
    engine = Engines(8, "cpu")(2, heavy=True)
    assert isinstance(engine, ProcessEngine)
    assert engine.workers == 2


def test_torch_is_not_imported_where_nothing_is_left_to_do():
    program = (
        "import sys; from vidal.evidence.places import Engines\n"
        "Engines(0, 'auto')(0, heavy=True)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class Noted:
    """A standby that notes how many workers were asked for, and starts none."""

    def __init__(self):
        self.counts = []

    def start(self, count, terms, modules):
        self.counts.append(count)


@pytest.mark.parametrize(
    ("engines", "items", "heavy", "counts"),
    [
        (Engines(2, "cpu"), 5, False, [2]),
        (Engines(2, "cpu"), FEW + 1, False, [2]),
        (Engines(4, "cpu"), 3, False, [3]),
        (Engines(2, "cpu"), 0, False, []),  # all clips are known: so may be their evidence
        (Engines(2, "cpu"), 1, False, []),
        (Engines(1, "cpu"), 5, False, []),
        (Engines(2, "cpu", detects=False), 5, False, []),
        (Engines(2, "cpu"), 5, True, []),
    ],
)
def test_workers_start_early_where_new_clips_are_opened_for_a_detector(
    engines, items, heavy, counts
):
    noted = Noted()
    replace(engines, standby=noted)(items, heavy=heavy)
    assert noted.counts == counts


def test_the_engine_for_the_evidence_is_on_the_terms_of_those_that_wait():
    with Engines(2, "cpu").early() as engines:
        assert isinstance(engines(3, heavy=False), LocalEngine)
        (first, second) = waiting = [worker.process.pid for worker in engines.standby._waiting]
        heavy = engines(3, heavy=True)
        assert set(heavy.map(partial(eval, "__import__('os').getpid()"), [{}] * 3)) <= set(waiting)
        assert first != second


def test_early_workers_import_no_torch_for_another_packages_detector(monkeypatch):
    given = {"videos": Path(), "out": Path(), "budget": "1", "strategy": "random"}
    own = plan_selection(detector="scenes-tiny", **given)
    monkeypatch.setattr(selection, "DETECTORS", {})  # now nobody's, as a plug-in's
    other = plan_selection(detector="scenes-tiny", **given)
    assert own.engines.modules == ("vidal.evidence.gather", "vidal.detect.faster_rcnn")
    assert other.engines.modules == ("vidal.evidence.gather",)
