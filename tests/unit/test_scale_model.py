"""What docs/scale.md says of cost and time is what the model prints."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model():
    spec = importlib.util.spec_from_file_location("scale_model", ROOT / "tools" / "scale_model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale_model"] = module  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_docs_are_those_that_are_printed(model):
    text = (ROOT / "docs" / "scale.md").read_text("utf-8")
    assert "\n".join(model.tables(model.Assumptions())) in text


def test_the_slower_of_gpus_and_cores_sets_the_pace(model):
    given = model.Assumptions()
    assert model.told(given, 8).rate == 8 * given.gpu_fps
    few = model.told(replace(given, workers=2), 8)
    assert few.rate == pytest.approx(8 * 2 * 1000 / (given.cpu_ms + given.judge_ms))
    assert few.busy == pytest.approx(few.rate / (8 * given.gpu_fps))
    assert few.hours > model.told(given, 8).hours
