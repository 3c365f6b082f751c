"""An image set and a configuration that take a second."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # small_pictures.py

from small_pictures import pictures


@pytest.fixture(scope="session")
def npz(tmp_path_factory):
    """An npz file with 120 training and 60 test pictures of four classes; do not change it."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("pictures") / "four.npz"
    x, y = pictures(120, rng)
    test_x, test_y = pictures(60, rng)
    np.savez(path, x_train=x[..., 0], y_train=y, x_test=test_x[..., 0], y_test=test_y)
    return path


CONFIG = """
name: four
data: {{path: {path}}}
initial: 8
budget: 6
rounds: 3
training: {{steps: 15, epochs: 1, batch: 16, widths: [4, 8, 8], precision: fp32}}
evidence: {{passes: 3, members: 2, votes: 3, vaal: {{steps: 3, batch: 8, width: 4}}}}
device: cpu
workers: 1
simulation:
  seeds: 2
  strategies: [entropy]
  all_data: {{steps: 20}}
"""


@pytest.fixture
def config(npz, tmp_path):
    """A configuration of a simulation that takes a second; a function of lines to add."""

    def written(more="", name="config.yaml", path=npz):
        file = tmp_path / name
        file.write_text(CONFIG.format(path=path) + more)
        return file

    return written
