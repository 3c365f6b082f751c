"""What is done with workers that may be killed, whatever kind of process they are.

A worker gets an item when it has said that it is ready, so that one that dies at its start costs no
item a try. An item whose worker dies goes to another worker, before those that were not begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from vidal.engine.progress import Listener
from vidal.errors import WorkerLost
from vidal.protocols import Item, Result

TRIES = 3
"""Workers that an item may cost."""
_STARTS = 3
"""Workers in a row that may die before they are ready, until no more are hired."""
_GIVE_UP = 3
"""Items that may be lost before any is done, until the run ends: then it is not the items."""
_TIMES = {2: "twice", 3: "three times"}
HEED = 0.5
"""Seconds between looks at interrupts: one that arrives just before the wait begins does not end
it, and would be heeded only when a worker says something."""


class Said(NamedTuple):
    """What is heard of a worker.

    Attributes:
        kind: ``ready``, ``progress``, ``result``, ``error`` or ``ended``.
        content: nothing; units done and in all; the value; an exception and its traceback in words;
            how it ended in words (``was killed by SIGKILL``) and whether memory may have run out.
    """

    kind: str
    content: Sequence[Any] = ()


Worker = TypeVar("Worker")


class Staff(Protocol[Worker]):
    """One kind of workers."""

    @property
    def together(self) -> bool:
        """Whether they share one machine's memory."""
        ...

    def hire(self) -> Worker:
        """Start one; it says ``ready`` in its own time."""
        ...

    def give(self, worker: Worker, function: Callable[[Any], Any], item: Any) -> None:
        """Hand an item to one that is ready."""
        ...

    def listen(self, workers: Collection[Worker], seconds: float) -> Iterable[tuple[Worker, Said]]:
        """What these say, at the latest after so many seconds; one message of each at most."""
        ...

    def dismiss(self, workers: Sequence[Worker], *, kindly: bool) -> None:
        """End workers: by a word to those that wait, or by a signal."""
        ...


@dataclass(eq=False, slots=True)
class _Task:
    """An item on its way."""

    position: int
    item: Any
    total: int = -1
    endings: list[str] = field(default_factory=list)
    starved: bool = False

    def alone(self, together: bool) -> bool:
        """Whether it is tried with the machine's whole memory: for the last time."""
        return together and self.starved and len(self.endings) == TRIES - 1


@dataclass(eq=False, slots=True)
class _Hand(Generic[Worker]):
    worker: Worker
    ready: bool = False
    used: bool = False
    task: _Task | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    error: BaseException | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


def work_through(
    crew: Crew[Any, Item, Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    """Results in the order of the items; the workers end with the iteration.

    Args:
        crew: new.
        items: taken as there is room.
        ahead: items that may be taken beyond the one whose result is due.
    """
    waiting = enumerate(items)
    done: dict[int, _Answer] = {}
    due = 0
    try:
        while True:
            room = min(max(ahead, crew.limit) - len(done) - crew.tasks, crew.free)
            for position, item in islice(waiting, max(room, 0)):
                crew.take(position, item)
            if due in done:
                yield done.pop(due).result()
                due += 1
            elif crew.tasks:
                done.update(crew.answers())
            else:
                return
    finally:
        crew.end()


class Crew(Generic[Worker, Item, Result]):
    """The workers of one ``map``, and the items that they have.

    Args:
        staff: what kind they are.
        function: called with each item.
        limit: workers at once; fewer where more die at their start.
        lost: makes the result of an item that has cost ``TRIES`` workers; None = that is an error.
        listener: told how far each item is; that one is begun again, too.
    """

    def __init__(
        self,
        staff: Staff[Worker],
        function: Callable[[Item], Result],
        *,
        limit: int,
        lost: Callable[[Item, WorkerLost], Result] | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.limit = limit
        self._staff, self._function, self._lost, self._listener = staff, function, lost, listener
        self._hands: dict[int, _Hand[Worker]] = {}
        self._waiting: deque[_Task] = deque()
        self._failed: list[str] = []
        self._done = 0
        self._given_up = 0

    @property
    def tasks(self) -> int:
        """How many items are taken and not answered."""
        return len(self._waiting) + len(self._busy)

    @property
    def free(self) -> int:
        """How many more could be worked on now."""
        return self.limit - self.tasks

    def take(self, position: int, item: Item) -> None:
        """An item, to be handed out."""
        self._waiting.append(_Task(position, item))

    def answers(self) -> dict[int, _Answer]:
        """What workers say within a moment; answers by position of their item.

        Raises:
            WorkerLost: no worker comes to begin an item, or every item costs its workers.
        """
        self._place()
        found: dict[int, _Answer] = {}
        listened = [hand.worker for hand in self._hands.values()]
        for worker, said in self._staff.listen(listened, HEED):
            hand = self._hands[id(worker)]
            task = hand.task
            answer = self._heard(hand, said)
            if answer is not None and task is not None:
                found[task.position] = answer
        return found

    def end(self) -> None:
        """End all workers: by a word those that wait, unless others work on what nobody wants."""
        self._dismiss(list(self._hands.values()), kindly=not self._busy)

    @property
    def _busy(self) -> list[_Hand[Worker]]:
        return [each for each in self._hands.values() if each.task is not None]

    def _place(self) -> None:
        """Hand out what waits; hire as that needs."""
        wanted, limit = self._due()
        for hand in [each for each in self._hands.values() if each.ready and each.task is None]:
            if not wanted:
                return
            task = wanted.popleft()
            self._waiting.remove(task)
            hand.task, hand.used = task, True
            self._staff.give(hand.worker, self._function, task.item)
        coming = sum(not each.ready for each in self._hands.values())
        for _ in range(min(len(wanted) - coming, limit - len(self._hands))):
            hired = _Hand(self._staff.hire())
            self._hands[id(hired.worker)] = hired

    def _due(self) -> tuple[deque[_Task], int]:
        """What may be handed out now, and to how many workers."""
        together = self._staff.together
        if any(hand.task and hand.task.alone(together) for hand in self._busy):
            return deque(), self.limit
        last = next((task for task in self._waiting if task.alone(together)), None)
        if last is None:
            return deque(self._waiting), self.limit
        if self._busy:
            return deque(), self.limit
        fresh = [hand for hand in self._hands.values() if not hand.used][:1]
        self._dismiss([hand for hand in self._hands.values() if hand not in fresh])
        return deque([last]), 1

    def _dismiss(self, hands: Sequence[_Hand[Worker]], *, kindly: bool = True) -> None:
        for hand in hands:
            del self._hands[id(hand.worker)]
        waiting = [hand.worker for hand in hands if kindly and hand.ready]
        others = [hand.worker for hand in hands if not (kindly and hand.ready)]
        for workers, word in ((waiting, True), (others, False)):
            if workers:
                self._staff.dismiss(workers, kindly=word)

    def _heard(self, hand: _Hand[Worker], said: Said) -> _Answer | None:
        """Take note of a message; an answer if it is one."""
        task = hand.task
        if said.kind == "ready":
            hand.ready = True
            self._failed.clear()
        elif said.kind == "progress" and task is not None:
            done, task.total = said.content
            self._tell(task, done)
        elif said.kind == "ended":
            return self._ended(hand, *said.content)
        elif said.kind == "result":
            hand.task = None
            self._done += 1
            return _Answer(said.content[0])
        elif said.kind == "error":
            return self._failure(hand, *said.content)
        return None

    def _failure(self, hand: _Hand[Worker], error: BaseException, text: str) -> _Answer:
        task, hand.task = hand.task, None
        if task is None:  # it could not begin: nor could any other
            error.add_note(f"at the start of a worker:\n{text}")
            raise error
        error.add_note(f"while processing item {task.position}: {task.item!r}")
        error.add_note(f"in a worker process:\n{text}")
        return _Answer(None, error)

    def _ended(self, hand: _Hand[Worker], ending: str, starved: bool) -> _Answer | None:
        """A worker is gone: its item waits for another one, or is given up."""
        del self._hands[id(hand.worker)]
        task = hand.task
        if task is None:
            if not hand.ready:
                self._not_started(ending)
            return None
        task.endings.append(ending)
        task.starved = task.starved or starved
        if task.total >= 0:
            self._tell(task, 0)
        if len(task.endings) < TRIES:
            self._waiting.appendleft(task)
            return None
        error = WorkerLost(repr(task.item), _why(task.endings, starved=task.starved))
        self._given_up += 1
        if self._lost is None:
            return _Answer(None, error)
        if not self._done and self._given_up >= _GIVE_UP:
            raise error
        return _Answer(self._lost(task.item, error))

    def _not_started(self, ending: str) -> None:
        """One that died before it was ready: the others go on, and if there are none, the run ends.

        Raises:
            WorkerLost: the last of several in a row.
        """
        self._failed.append(ending)
        if len(self._failed) < _STARTS:
            return
        if not self._hands:
            raise WorkerLost("", f"no worker could start: one after the other {ending}")
        self.limit = min(self.limit, len(self._hands))

    def _tell(self, task: _Task, done: int) -> None:
        if self._listener is not None:
            self._listener(task.position, done, task.total)


def _why(endings: Sequence[str], *, starved: bool) -> str:
    """``its worker was killed by SIGKILL three times (out of memory?)``."""
    memory = " (out of memory?)" if starved else ""
    if len(set(endings)) == 1:
        return f"its worker {endings[0]} {_TIMES[len(endings)]}{memory}"
    return f"its worker was lost {_TIMES[len(endings)]}: it {', '.join(endings)}{memory}"
