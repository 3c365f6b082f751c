"""Everything that can go wrong because of what a user gave us.

    VidalError
    ├── UsageError            an option or value that cannot be meant
    │   ├── BudgetError           not a budget, or more than the pool holds
    │   ├── UnknownName           a strategy, class, detector ... that does not exist
    │   ├── PluginError           something of another package that cannot be used
    │   └── EvidenceMissing       a strategy asks for what nobody here can know
    ├── InputError            a file or folder that cannot be used
    │   ├── NoClips               nothing to look at
    │   ├── UnreadableClip        one clip cannot be decoded
    │   ├── FormatError           an annotation file is broken; says where
    │   ├── LabelsMismatch        labels that belong to other clips
    │   └── WeightsError          a checkpoint that is corrupt or not for this model
    ├── OutputError           a place that cannot be written
    │   └── OutputBusy            another run is writing there
    ├── ServerError           an annotation server that does not do what it was asked for
    ├── WorkerLost            a clip has cost several worker processes (killed, out of memory)
    └── CampaignError         a campaign command at the wrong moment
        ├── AwaitingAnnotation    the last query is not answered yet
        ├── CampaignBusy          another process works on it
        └── EvidenceLost          evidence was damaged or removed while a run was using it

The command line prints ``message`` and ``hint`` as one line each and exits with 2; anything else
that is raised is a bug of vidal's and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from vidal.words import counted


class VidalError(Exception):
    """Base of all errors a user can cause.

    Attributes:
        message: what is wrong, one line, naming the thing.
        hint: the way out, one line; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses take other arguments than ``args``: pickling (from worker processes) by fields.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[VidalError], args: tuple[object, ...], state: dict[str, object]
) -> VidalError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(VidalError):
    """An option or a value that cannot be meant."""


class BudgetError(UsageError):
    """Not a budget (``text``), or more than there is."""

    def __init__(self, text: str, why: str, *, hint: str = "") -> None:
        super().__init__(f"budget {text!r}: {why}.", hint=hint)
        self.text = text
        self.why = why


TWO_OF_A_NAME: Mapping[tuple[str, str], str] = {
    ("strategy", "pal"): (
        "Two methods are called so: portable-pal (object detection, CVPR 2026; 'pal' in earlier "
        "versions of vidal) and progressive-pal (open set, NeurIPS 2023). Say which."
    )
}
"""(kind, name) that means more than one thing -> the way out."""


class UnknownName(UsageError):
    """A name that is not in one of the tables, or that could mean two of them."""

    def __init__(self, kind: str, name: str, choices: Sequence[str]) -> None:
        close = get_close_matches(name, choices, n=1)
        guess = f"Did you mean {close[0]!r}? " if close else ""
        hint = f"{guess}Choose from: {', '.join(choices)}."
        known = "unknown"
        if (kind, name) in TWO_OF_A_NAME:
            known, hint = "ambiguous", TWO_OF_A_NAME[kind, name]
        super().__init__(f"{known} {kind} {name!r}.", hint=hint)
        self.kind = kind
        self.name = name
        self.choices = tuple(choices)


class PluginError(UsageError):
    """A strategy, detector or tracker of another package that cannot be used.

    Attributes:
        kind: strategy, detector or tracker.
        name: as users write it.
        package: the distribution it comes with.
        why: the cause.
    """

    def __init__(self, kind: str, name: str, package: str, why: str) -> None:
        owner = f" of {package}" if package else ""
        super().__init__(
            f"{kind} {name!r}{owner} cannot be used: {why}.",
            hint="Mend or uninstall that package, or use another name.",
        )
        self.kind = kind
        self.name = name
        self.package = package
        self.why = why


class EvidenceMissing(UsageError):
    """A strategy asks for evidence that cannot be had here.

    Attributes:
        strategy: as users write it.
        column: what it asks for (``needs``).
        why: the cause.
    """

    def __init__(self, strategy: str, column: str, why: str, *, hint: str) -> None:
        super().__init__(f"{strategy}: {why}.", hint=hint)
        self.strategy = strategy
        self.column = column
        self.why = why


class InputError(VidalError):
    """A file or a folder that cannot be used."""

    def __init__(self, path: Path | str, why: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {why}.", hint=hint)
        self.path = Path(path)
        self.why = why


class NoClips(InputError):
    """Nothing to look at under ``path``."""


class UnreadableClip(InputError):
    """One clip cannot be decoded; a run skips it and says so."""


class FormatError(InputError):
    """A broken annotation file; ``where`` is the line, element or key, ``path`` the file."""

    def __init__(self, path: Path | str, where: str, why: str, *, hint: str = "") -> None:
        where, why = _short(where), _short(why)
        super().__init__(path, f"{where}: {why}" if where else why, hint=hint)
        self.where = where


def _short(text: str) -> str:
    """One line of at most 240 characters: what a broken file holds may be of any length."""
    line = " ".join(text.split()) if "\n" in text or "\r" in text else text
    return line if len(line) <= 240 else f"{line[:160]} ... {line[-70:]}"


class LabelsMismatch(InputError):
    """Labels that belong to other clips than those given."""


class WeightsError(InputError):
    """A checkpoint that is corrupt, or made for another model."""


class OutputError(VidalError):
    """A place that cannot be written."""

    def __init__(self, path: Path | str, why: str, *, hint: str = "") -> None:
        super().__init__(f"cannot write {path}: {why}.", hint=hint)
        self.path = Path(path)
        self.why = why


class OutputBusy(OutputError):
    """Another run (``pid``; 0 = not known) writes to this folder."""

    def __init__(self, path: Path | str, pid: int) -> None:
        who = f"process {pid}" if pid else "another run"
        super().__init__(
            path, f"{who} is writing there", hint="Wait for it, or name another folder with --out."
        )
        self.pid = pid


class ServerError(VidalError):
    """An annotation server that cannot be reached, or refuses.

    Attributes:
        url: of the server.
        why: the cause.
        passing: the same request may well succeed a moment later.
    """

    def __init__(self, url: str, why: str, *, hint: str = "", passing: bool = False) -> None:
        super().__init__(f"{url}: {_short(why)}.", hint=hint)
        self.url = url
        self.why = why
        self.passing = passing


class WorkerLost(VidalError):
    """Worker processes ended before they had finished ``item``, or before they had begun.

    Attributes:
        item: in words; empty where no worker came to begin one.
        why: what became of the workers: ``its worker was killed by SIGKILL three times (...)``.
    """

    def __init__(self, item: str, why: str) -> None:
        super().__init__(
            f"{item}: {why}." if item else f"{why}.",
            hint="If memory ran out, use fewer workers.",
        )
        self.item = item
        self.why = why


class CampaignError(VidalError):
    """A campaign command at the wrong moment."""


class AwaitingAnnotation(CampaignError):
    """The query of ``round`` waits for its answer."""

    def __init__(self, round_: int, waiting: int) -> None:
        super().__init__(
            f"round {round_}: {counted(waiting, 'queried frame is', 'queried frames are')} not"
            " answered yet.",
            hint="Import their labels with `vidal import`, or take it back with `vidal withdraw`.",
        )
        self.round = round_
        self.waiting = waiting


class CampaignBusy(CampaignError):
    """Another process (``pid``) works on the campaign."""

    def __init__(self, path: Path | str, pid: int) -> None:
        super().__init__(
            f"{path}: process {pid} is working on this campaign.", hint="Wait for it, or stop it."
        )
        self.path = Path(path)
        self.pid = pid


class EvidenceLost(CampaignError):
    """Evidence that had been there was damaged or removed while a run was using it."""

    def __init__(self) -> None:
        super().__init__(
            "evidence has vanished from the store while it was used.", hint="Run the command again."
        )
