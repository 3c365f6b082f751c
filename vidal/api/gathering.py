"""``vidal.gather``: the evidence of one shard, into a store that shards share."""

from __future__ import annotations

from typing import Unpack

from vidal.api import given as kinds
from vidal.api.options import PathLike, SelectOptions
from vidal.api.selections import SelectionAhead, ahead
from vidal.api.watch import Console
from vidal.evidence.again import again
from vidal.evidence.shards import WHOLE, Shard
from vidal.selection.gathering import Gathering, gather_shard


def gather(
    videos: PathLike | None = None,
    *,
    shard: str | Shard = WHOLE,
    budget: str | int = "2%",
    strategy: str = "expected-errors",
    out: PathLike | None = None,
    progress: bool = True,
    **options: Unpack[SelectOptions],
) -> Gathering:
    """Compute what ``select`` needs, on one of several machines, into a store that they share.

    Give it what ``select`` will be given: when all shards are done, that finds everything there.
    What is there already is not computed again, so that a shard may be run a second time, and
    shards may overlap.

    >>> done = vidal.gather("clips/", shard="1/2", cache="store", detector="scenes-tiny",
    ...                     progress=False)
    >>> done.clips > 0 and not done.skipped
    True

    Args:
        videos: a clip, or a folder of clips; None where ``detections`` describe the clips.
        shard: which of how many, counted from 1. Clips are dealt by the size of their files, the
            largest first, each to the shard that has the least so far.
        budget, strategy, options: as of ``select``. Those that only shape the choice (``gap``,
            ``labels``, ``seed``, ...) change nothing here.
        out: where ``select`` will put its result: the store is ``cache``, else ``.vidal`` in there.
        progress: show how far it is, on stderr or in the notebook.

    Raises:
        UsageError, InputError, OutputError: as of ``select``.
    """
    coming = ahead(videos, budget=str(budget), strategy=strategy, out=out, **options)
    part = shard if isinstance(shard, Shard) else Shard.parse(kinds.text("shard", shard))
    return gathered(coming, part, Console(quiet=not progress))


def gathered(coming: SelectionAhead, shard: Shard, console: Console) -> Gathering:
    """The same with options that are checked."""
    with console, coming.job.engines.early() as engines:
        plan = coming.job.plan
        return again(lambda: gather_shard(plan, shard, engines=engines, watcher=console))
