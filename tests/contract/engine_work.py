"""Work items for the engine tests; a module of its own, so that worker processes can import it."""

import os
import signal
import sys
import time
from pathlib import Path

from vidal.engine.progress import report
from vidal.errors import UnreadableClip


def double(item):
    return 2 * item


def slow_first(item):
    time.sleep(0.3 if item == 0 else 0)
    return item


def fail_on_three(item):
    if item == 3:
        raise UnreadableClip("street.mp4", "no video stream", hint="Is it a video?")
    return item


class Awkward(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.handle = (lambda: one,)


def raise_what_cannot_travel(item):
    raise Awkward(item, "more")


def return_what_cannot_travel(item):
    return lambda: item


def kill_self_on_two(item):
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def leave(item):
    os._exit(7)


def steps(item):
    for done in range(1, item + 1):
        report(done, item)
    return item


def process_id(item):
    return os.getpid()


def environment(item):
    return os.environ["OMP_NUM_THREADS"], os.environ.get("VIDAL_TEST_THREADS")


def initialise(threads):
    os.environ["VIDAL_TEST_THREADS"] = str(threads)


def fail_to_initialise(threads):
    raise ValueError("no such device")


def note_and_sleep(path):
    """Leaves the process id in a file, then works for a long time."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def say(item):
    """Prints without flushing, and registers what would only run in an orderly exit."""
    import atexit

    sys.stdout.write(f"said {item}\n")
    atexit.register(time.sleep, 60)
    return item
