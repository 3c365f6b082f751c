"""Which engine for how much work."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from vidal.assemble import selection
from vidal.assemble.request import SelectionRequest
from vidal.assemble.selection import plan_selection
from vidal.detect.machine import Machine
from vidal.engine import LocalEngine, ProcessEngine, RayEngine, ray_session
from vidal.errors import UnknownName, UsageError
from vidal.evidence import places
from vidal.evidence.places import FEW, Engines, cores
from vidal.track import flow


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


def test_local_stays_in_this_process_however_much_there_is():
    assert isinstance(Engines(engine="local")(1000, heavy=True), LocalEngine)
    assert isinstance(Engines(engine="local")(1000, heavy=False), LocalEngine)


def test_process_has_its_one_worker_too_so_that_a_kill_ends_no_run():
    engine = Engines(1, "cpu", engine="process")(5, heavy=True)
    assert isinstance(engine, ProcessEngine)
    assert engine.workers == 1
    assert isinstance(Engines(1, "cpu", engine="process")(5, heavy=False), LocalEngine)


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@needs_ray
def test_a_local_ray_shares_the_cores_and_does_no_light_work(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    engines = Engines(2, "cpu", engine="ray")
    engine = engines(5, heavy=True)
    assert isinstance(engine, RayEngine)
    assert (engine.workers, engine.threads) == (2, max(1, cores() // 2))
    assert (engine.gpus, engine.address) == (0, None)
    assert isinstance(engines(FEW, heavy=False), LocalEngine)
    assert isinstance(engines(1000, heavy=False), ProcessEngine)


@needs_ray
def test_a_cluster_has_as_many_actors_as_fit_and_does_light_work_where_there_is_much():
    engines = Engines(0, "cpu", engine="ray", ray_address="head:6379", ray_gpus=0.25)
    engine = engines(500, heavy=True)
    assert isinstance(engine, RayEngine)
    assert (engine.workers, engine.threads, engine.gpus) == (0, 1, 0.25)
    assert engine.address == "head:6379"
    assert isinstance(engines(1000, heavy=False), RayEngine)
    assert isinstance(engines(FEW, heavy=False), LocalEngine)


@needs_ray
def test_a_job_of_a_cluster_is_on_that_cluster(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    engine = Engines(0, "cpu", engine="ray")(500, heavy=True)
    assert isinstance(engine, RayEngine)
    assert (engine.workers, engine.threads, engine.address) == (0, 1, None)


def test_a_missing_ray_is_refused_with_the_way_out_before_any_work(monkeypatch):
    monkeypatch.setattr(ray_session, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="Ray is not installed") as refused:
        Engines(engine="ray")
    assert refused.value.hint == "pip install vidal-al[ray]"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"engine": "dask"}, UnknownName, "unknown engine 'dask'"),
        ({"engine": "local", "workers": 2}, UsageError, "engine local with 2 workers"),
        ({"ray_address": "auto"}, UsageError, "Give --engine ray"),
        ({"engine": "process", "ray_gpus": 0.5}, UsageError, "Give --engine ray"),
        pytest.param(
            {"engine": "ray", "ray_address": "ray://head:10001"},
            *(UsageError, "on a machine of the cluster"),
            marks=needs_ray,
        ),
        pytest.param(
            {"engine": "ray", "ray_gpus": 1.5},
            *(UsageError, "a share of one, or whole ones"),
            marks=needs_ray,
        ),
        pytest.param(
            {"engine": "ray", "ray_gpus": -1}, *(UsageError, "at least 0"), marks=needs_ray
        ),
    ],
)
def test_engines_that_cannot_be_meant_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        Engines(**given)


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
    own = plan_selection(SelectionRequest(detector="scenes-tiny", **given))
    monkeypatch.setattr(selection, "DETECTORS", {})  # now nobody's, as a plug-in's
    other = plan_selection(SelectionRequest(detector="scenes-tiny", **given))
    assert own.engines.modules == ("vidal.evidence.gather", "vidal.detect.faster_rcnn")
    assert other.engines.modules == ("vidal.evidence.gather",)


TWO_GPUS = Machine(gpu=True, gpu_bf16=True, cpu_bf16=False, gpus=2)


def test_gpus_have_processes_that_are_bound_to_them(monkeypatch):
    monkeypatch.setattr(places, "this_machine", lambda: TWO_GPUS)
    monkeypatch.setattr(places, "cores", lambda: 16)
    engine = Engines()(50, heavy=True)
    assert (engine.workers, engine.threads) == (4, 4)
    assert [dict(place) for place in engine.places] == [
        {"VIDAL_DEVICE": "cuda:0"},
        {"VIDAL_DEVICE": "cuda:1"},
    ]
    assert Engines(1, "cuda:1")(50, heavy=True).places == ({"VIDAL_DEVICE": "cuda:1"},)
    assert not Engines(2, "cpu")(50, heavy=True).places
    assert not Engines(2, detects=False)(50, heavy=True).places


def _bound(_item):
    return os.environ.get("VIDAL_DEVICE"), flow._threads


def test_workers_know_which_gpu_is_theirs_and_what_is_left_for_flow(monkeypatch):
    """Real processes: none of them asks for the GPU."""
    monkeypatch.setattr(places, "this_machine", lambda: TWO_GPUS)
    monkeypatch.setattr(places, "cores", lambda: 8)
    engine = Engines(2)(50, heavy=True)
    assert set(engine.map(_bound, range(6))) <= {("cuda:0", 2), ("cuda:1", 2)}
