"""The interrupt of the terminal reaches a group of processes: workers never hear it."""

import signal
from functools import partial

from vidal.engine import ProcessEngine


def test_a_worker_is_born_with_the_interrupt_blocked():
    """Before its interpreter runs a line: nothing of it can be interrupted, and print where."""
    asked = partial(signal.pthread_sigmask, signal.SIG_BLOCK)
    (masked,) = ProcessEngine(1).map(asked, [[]])
    assert signal.SIGINT in masked


def test_this_process_hears_the_interrupt_again_when_its_workers_have_started():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for _ in ProcessEngine(2).map(abs, [1, 2]):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
