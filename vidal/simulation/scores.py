"""The judged test clips of finished rounds, for intervals over seeds and clips."""

from __future__ import annotations

from vidal.evaluate.clip_scores import ClipScores, read_clip_scores
from vidal.simulation.runs import RunJob


def scores_of(job: RunJob) -> dict[int, ClipScores]:
    """Round -> judged test clips, of the rows that have them; folders of old runs have none.

    Raises:
        InputError: a file is damaged.
    """
    found = {}
    for number in range(job.rounds):
        scores = read_clip_scores(job.folder / "rows" / f"round-{number:03d}.npz")
        if scores is not None:
            found[number] = scores
    return found
