"""torchvision is imported without torch's compiler, which stays usable."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from vidal.detect.architectures import ARCHITECTURES, blank, fresh

LOADING = """
import sys
import numpy as np
from vidal.detect.load import load_detector
from vidal.types import Frame, FrameRef
detector = load_detector("scenes-tiny", device="cpu")
detector.detect([Frame(FrameRef("a", 0), np.zeros((300, 480, 3), np.uint8))])
print(sorted({"torch._dynamo", "torch._dynamo.utils", "sympy"} & set(sys.modules)))
"""

COMPILING = """
import sys
from vidal.detect import vision
from torchvision.ops import roi_align
said = sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu")
from torch._dynamo import utils
assert utils.__file__ and said == utils.is_compile_supported("cpu")
import torch
x = torch.arange(4.0)
assert torch.equal(torch.compile(lambda t: t + 1, backend="eager")(x), x + 1)
"""

NAMED_IN_BETWEEN = """
import sys
from vidal.detect import vision
later = vision._Later("torch._dynamo.utils")
sys.modules["torch._dynamo.utils"] = later
from torch._dynamo.utils import counters
assert sys.modules["torch._dynamo.utils"] is not later
assert sys.modules["torch._dynamo.utils"].counters is counters
"""


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_loading_a_detector_and_detecting_imports_no_compiler():
    assert run(LOADING) == "[]"


@pytest.mark.parametrize("program", [COMPILING, NAMED_IN_BETWEEN])
def test_the_compiler_is_the_real_one_as_soon_as_it_is_used(program):
    run(program)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_blank_network_has_all_that_no_state_dict_holds(name):
    empty, drawn = blank(name, 7), fresh(name, 7, np.random.default_rng(0))
    mine, theirs = empty.state_dict(), drawn.state_dict()
    assert [(key, value.shape, value.dtype, value.device) for key, value in mine.items()] == [
        (key, value.shape, value.dtype, value.device) for key, value in theirs.items()
    ]
    counts = [key for key in mine if key.endswith("num_batches_tracked")]
    assert all(torch.equal(mine[key], theirs[key]) for key in counts)
    anchors = zip(
        empty.rpn.anchor_generator.cell_anchors,
        drawn.rpn.anchor_generator.cell_anchors,
        strict=True,
    )
    assert all(torch.equal(one, other) for one, other in anchors)
