"""An interrupt ends a scan wherever it arrives: no thread waits for one that is not there."""

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import count

import numpy as np
import pytest

from vidal.evidence.scan import scan_clip
from vidal.track import FlowMeter, FlowOptions
from vidal.types import Clip, Frame, FrameRef

PICTURE = np.zeros((64, 64, 3), np.uint8)


def endless():
    for index in count():
        yield Frame(FrameRef("a", index), PICTURE)


@pytest.mark.parametrize("started", [1, 2])
def test_an_interrupt_while_the_threads_of_a_scan_start_ends_it(monkeypatch, started):
    real, calls = ThreadPoolExecutor.submit, []

    def submit(self, *call):
        calls.append(call)
        if len(calls) > started:
            raise KeyboardInterrupt
        future = real(self, *call)
        if len(calls) == started == 2:
            raise KeyboardInterrupt
        return future

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    ticks = np.arange(10_000, dtype=np.int64)
    clip = Clip("a", "a.mp4", ticks, Fraction(1, 25), Fraction(25), (64, 64))
    meter = FlowMeter(FlowOptions(), frames=clip.frames, size=clip.size)
    ended = []

    def scan():
        try:
            scan_clip(clip, endless(), detector=None, meter=meter, batch=4, report=lambda *_: None)
        except KeyboardInterrupt:
            ended.append("interrupted")

    thread = threading.Thread(target=scan, daemon=True)
    thread.start()
    thread.join(20)
    assert ended == ["interrupted"]
