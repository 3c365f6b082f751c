"""Ctrl-C while libraries are imported: it waits until the import has ended."""

import os
import signal
import sys
import textwrap

import pytest

from vidal.cli.interrupts import patient


@pytest.fixture(autouse=True)
def _as_in_a_terminal():
    """In the background of a shell interrupts are ignored: these tests would wait forever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_in_an_import_is_raised_after_it(tmp_path, monkeypatch):
    (tmp_path / "vidal_slow_to_import.py").write_text(
        textwrap.dedent("""
        import os, signal, time
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        whole = True
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), patient():  # noqa: PT012 (what comes before it counts)
        import vidal_slow_to_import  # type: ignore[import-not-found]

        assert vidal_slow_to_import.whole
        signal.pause()
    assert sys.modules.pop("vidal_slow_to_import").whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_outside_of_imports_is_raised_at_once():
    with pytest.raises(KeyboardInterrupt), patient():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()


def test_ignored_interrupts_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with patient():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
