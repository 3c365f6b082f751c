"""Which engine for how much work."""

import subprocess
import sys

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
