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


def die_while_told(item):
    """(value, folder, times): its worker kills itself so many times, then it is done."""
    value, folder, times = item
    note = Path(folder) / f"{value}-{time.monotonic_ns()}"
    note.touch()
    report(1, 2)
    if len(list(Path(folder).glob(f"{value}-*"))) <= times:
        time.sleep(0.5)  # progress leaves
        os.kill(os.getpid(), signal.SIGKILL)
    report(2, 2)
    return value


def busy(item):
    """Some hundredths of a second of work that is told of."""
    for done in range(1, 5):
        time.sleep(0.005 + item % 3 / 200)
        report(done, 4)
    return item * item


def alone_at_last(item):
    """(value, folder): notes when it ran; item 0 kills its worker each time but the third."""
    value, folder = item
    began = time.monotonic()
    tries = len(list(Path(folder).glob("try-*")))
    if value == 0:
        (Path(folder) / f"try-{tries}").touch()
        time.sleep(0.2)
        if tries < 2:
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        time.sleep(0.1)
    return value, began, time.monotonic(), os.getpid()


def large(item):
    """(where to note the process, file to wait for): a result that a pipe does not hold."""
    note, awaited = map(Path, item)
    note.write_text(str(os.getpid()))
    end = time.monotonic() + 60
    while not awaited.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return bytes(1 << 24)


def change(item):
    """Writes to an array that it was given."""
    item[0] += 1
    return item


def die_at_start(notes, threads):
    """Leaves a note of each start."""
    (Path(notes) / str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


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
    atexit.register(time.sleep, 600)  # longer than any busy machine takes
    return item
