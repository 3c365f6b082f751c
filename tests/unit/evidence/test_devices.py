"""How GPUs and cores are shared by processes."""

from __future__ import annotations

import pytest

from vidal.evidence.devices import begin_beside_gpu, share
from vidal.track import flow
from vidal.types.devices import BOUND


@pytest.mark.parametrize(
    ("gpus", "cores", "workers", "items", "expected"),
    [
        (1, 2, 0, 9, (1, 2)),
        (1, 4, 0, 9, (2, 2)),
        (1, 16, 0, 9, (3, 5)),
        (1, 16, 1, 9, (1, 16)),
        (2, 16, 0, 9, (4, 4)),
        (8, 128, 0, 999, (24, 5)),
        (8, 128, 0, 5, (5, 25)),
        (4, 2, 0, 9, (4, 1)),
        (1, 16, 0, 0, (1, 16)),
    ],
)
def test_processes_and_cores_of_each(gpus, cores, workers, items, expected):
    names = [f"cuda:{number}" for number in range(gpus)]
    found = share(names, cores, workers=workers, items=items)
    assert (found.workers, found.threads) == expected


def test_every_gpu_has_a_place_and_none_is_named_that_no_process_takes():
    names = ["cuda:0", "cuda:2"]
    assert [dict(p) for p in share(names, 8, workers=0, items=9).places] == [
        {BOUND: "cuda:0"},
        {BOUND: "cuda:2"},
    ]
    assert len(share(names, 8, workers=0, items=1).places) == 1


def test_flow_has_the_cores_that_decoding_and_the_gpu_leave(monkeypatch):
    monkeypatch.setattr(flow, "_threads", 1)
    for threads, expected in ((1, 1), (3, 1), (16, 14)):
        begin_beside_gpu(threads)
        assert flow._threads == expected
