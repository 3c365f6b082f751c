"""How commands tell of models whose answers have changed."""

from __future__ import annotations

from collections.abc import Sequence


def told_stale(rounds: Sequence[int], which: str, *, own: bool) -> str:
    """Whose models are stale, and who fits them anew.

    Args:
        rounds: of the models.
        which: answers they had: ``these``, or ``the former``.
        own: the detector is the user's own, and so is its training.
    """
    model = "the model of round" if len(rounds) == 1 else "the models of rounds"
    some = " and ".join(map(str, rounds))
    way = "train yours anew" if own else "`vidal train` fits anew"
    return f"{model} {some} had {which} answers: {way}"
