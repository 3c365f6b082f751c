"""A store that is larger than its budget is told of beside a query."""

import numpy as np

from vidal.evidence.places import store_at
from vidal.selection.notes import budget_note
from vidal.store.usage import set_budget
from vidal.types import Stored


def test_a_store_above_its_budget_is_a_remark_and_one_below_is_none(tmp_path):
    store = store_at(tmp_path)
    store.put("ab" * 16, {"a": np.zeros(5000)}, Stored("detections"))
    set_budget(tmp_path, 10_000)
    assert budget_note(tmp_path) == ()
    store.pack()
    (said,) = budget_note(tmp_path)
    assert said.startswith(f"The evidence in {tmp_path} is 30 kB larger than its budget")
    assert f"vidal cache budget {tmp_path} SIZE" in said
    set_budget(tmp_path, 50_000)
    store.pack()
    assert budget_note(tmp_path) == ()
