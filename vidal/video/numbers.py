"""Which digits of the names of a folder's images say the order, and the numbers they give.

Names are written by many hands: ``cam2_0001``, ``12.50`` (seconds), ``1700000000123456789``
(nanoseconds), ``drive_mp4-5_jpg.rf.4be1...`` (a number, then a random suffix).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path
from statistics import median

from vidal.errors import UnreadableClip

DIGITS = re.compile(r"(\d+)")
_DECIMAL = {mark: re.compile(rf"(\d+)(?:{re.escape(mark)}(\d+))?") for mark in (".", ",", "_")}
"""Numbers with decimals by their decimal mark; ``_`` stands for a point that was replaced."""
_SIGNED = re.compile(r"-?\d+(?:[.,]\d+)?(?:e[-+]?\d{1,3})?", re.IGNORECASE)
_CAMERA = re.compile(r"cam(?:era)?[^\W\d_]{0,6}[-_ .]*$", re.IGNORECASE)
"""What stands before the number of a camera."""
_LARGEST = 2**63 - 1
_COUNTER_STEP = 1000
"""Names whose usual step is larger are times (milliseconds, nanoseconds), not counters."""
_DENSER = 4
"""Of two groups of digits that give different orders, one counts frames if its numbers lie this
much closer together than those of the other."""

Order = tuple[list[Path], list[int]]


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key under which ``clip2`` comes before ``clip10``; total and deterministic."""
    parts = [part for part in DIGITS.split(text) if part]
    folded = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts
    )
    return (*folded, (2, 0, text))


def order(folder: Path, files: Sequence[Path]) -> Order:
    """Images in the order of their numbers, and the numbers, increasing.

    Args:
        folder: of the images, for messages.
        files: images with a digit in their stems.

    Raises:
        UnreadableClip: two images share a number, or two groups of digits say different orders.
    """
    if len(files) < 2:
        return _by(folder, files, [int(DIGITS.findall(file.stem)[-1]) for file in files])
    times = chain([_signed(folder, files)], (_decimal(folder, files, mark) for mark in _DECIMAL))
    if ordered := next(filter(None, times), None):
        return ordered
    if len({DIGITS.sub("#", file.stem) for file in files}) == 1:
        return _aligned(folder, files)
    return _ragged(folder, files)


def _aligned(folder: Path, files: Sequence[Path]) -> Order:
    """All names alike but for digits."""
    rows = [[int(digits) for digits in DIGITS.findall(file.stem)] for file in files]
    columns = [column for column in zip(*rows, strict=True) if len(set(column)) > 1]
    if len(columns) < 2:
        return _by(folder, files, columns[0] if columns else [row[-1] for row in rows])
    single = [column for column in columns if len(set(column)) == len(files)]
    if len(single) > 1 and len({_ranks(column) for column in single}) > 1:
        return _by(folder, files, _densest(folder, files, single))
    natural = sorted(files, key=lambda file: natural_key(file.name))
    if len(single) == 1 and _counts(single[0], [single[0][files.index(file)] for file in natural]):
        return _by(folder, files, single[0])
    if not single:
        _check_one_camera(folder, files, rows)
    return _ranked(natural)


def _counts(numbers: Sequence[int], natural: Sequence[int]) -> bool:
    """Whether numbers count frames, whatever stands before them (``speed50_000001``).

    They are dense, and start again more than once in natural order. Parts of a time of day do so
    too, with two digits below 60.
    """
    restarts = sum(after < before for before, after in pairwise(natural))
    dense = max(numbers) - min(numbers) < 2 * len(numbers)
    return restarts > 1 and dense and max(numbers) >= 60


def _check_one_camera(folder: Path, files: Sequence[Path], rows: Sequence[Sequence[int]]) -> None:
    """Frames of several cameras in one folder are several recordings."""
    stem = files[0].stem
    for at, match in enumerate(DIGITS.finditer(stem)):
        cameras = {row[at] for row in rows}
        if len(cameras) > 1 and _CAMERA.search(stem[: match.start()]):
            raise UnreadableClip(
                folder,
                f"images of {len(cameras)} cameras ({files[0].name}, {files[-1].name})",
                hint="Put the images of each camera in a folder of their own.",
            )


def _ragged(folder: Path, files: Sequence[Path]) -> Order:
    """Names with different texts: the number follows what all begin with, or is the last."""
    stems = [file.stem for file in files]
    start = len(_common(stems).rstrip("0123456789"))
    left = [re.match(r"(\d+)(?![^\W\d_])", stem[start:]) for stem in stems]
    left_loose = [re.match(r"(\d+)", stem[start:]) for stem in stems]
    last = [list(DIGITS.finditer(stem))[-1] for stem in stems]
    heads = [stem[: match.start()][::-1] for stem, match in zip(stems, last, strict=True)]
    strong: list[list[int]] = []
    weak: list[list[int]] = []
    for matches, sure in ((left, True), (last, bool(_common(heads)) or not any(heads))):
        numbers = [int(match[1]) for match in matches if match]
        if len(set(numbers)) == len(files):
            (strong if sure else weak).append(numbers)
    numbers = [int(match[1]) for match in left_loose if match]
    if len(set(numbers)) == len(files):
        weak.insert(0, numbers)
    if len(strong) > 1 and len({_ranks(numbers) for numbers in strong}) > 1:
        return _by(folder, files, _densest(folder, files, strong))
    chosen = [*strong, *weak]
    firsts = [int(match[1]) for match in left if match]
    if len(firsts) == len(files) and _disagree(firsts, chosen[0] if chosen else None):
        # A second picture of one number: IMG_20240501_120001_1 after IMG_20240501_120001.
        return _ranked(sorted(files, key=lambda file: _suffixed(file.stem)))
    return _by(folder, files, chosen[0] if chosen else [int(match[1]) for match in last])


def _disagree(firsts: Sequence[int], chosen: Sequence[int] | None) -> bool:
    """Whether numbers that say the order but for a few ties are contradicted by those chosen."""
    if chosen is None or len(set(firsts)) in (1, len(firsts)) or 2 * len(set(firsts)) < len(firsts):
        return False
    pairs = sorted(zip(chosen, firsts, strict=True))
    return any(after < before for (_, before), (_, after) in pairwise(pairs))


def _suffixed(stem: str) -> tuple[tuple[int, int, str], ...]:
    """As ``natural_key``, with a name before the longer ones that begin with it."""
    return natural_key(stem)[:-1]


def _signed(folder: Path, files: Sequence[Path]) -> Order | None:
    """Names that are numbers, some below zero (times around an event) or as ``1e-05``."""
    stems = [file.stem for file in files]
    minus = sum(stem.startswith("-") for stem in stems)
    if not all(_SIGNED.fullmatch(stem) for stem in stems):
        return None
    if minus in (0, len(stems)) and not any("e" in stem.lower() for stem in stems):
        return None
    numbers = [Decimal(stem.replace(",", ".")) for stem in stems]
    pairs = sorted(zip(numbers, files, strict=True))
    _check_distinct(folder, pairs, "number")
    return _ranked([file for _, file in pairs])


def _decimal(folder: Path, files: Sequence[Path], mark: str) -> Order | None:
    """Times with decimals (``10.04``, ``10.2``, ``11``); None where names are something else.

    Fractions of one length sort as whole numbers do, and are left to the others.
    """
    stems = [file.stem for file in files]
    start = len(_without_number(_common(stems), mark))
    end = len(_without_number(_common([stem[start:][::-1] for stem in stems]), mark))
    matches = [_DECIMAL[mark].fullmatch(stem[start : len(stem) - end]) for stem in stems]
    found = [match for match in matches if match]
    if len(found) < len(files) or len({len(match[2] or "") for match in found}) == 1:
        return None
    fractions = [match[2] or "" for match in found]
    padded = any(len(text) > 1 and text.startswith("0") for text in fractions)
    if mark == "_" and not padded:
        return None  # a part and its frame
    if not padded and any(len(text) > 1 and text.endswith("0") for text in fractions):
        return None  # nobody writes 1.9, 1.10 for times: a part and its frame
    times = [
        Decimal(f"{match[1]}.{text or 0}") for match, text in zip(found, fractions, strict=True)
    ]
    pairs = sorted(zip(times, files, strict=True))
    _check_distinct(folder, pairs, "time")
    return _ranked([file for _, file in pairs])


def _without_number(text: str, mark: str) -> str:
    """A text without the number that it ends with, whole or begun."""
    if mark == ".":
        return text.rstrip("0123456789.")
    return re.sub(rf"(?:\d+{mark}?)?\d*$", "", text)


def _densest(
    folder: Path, files: Sequence[Path], choices: Sequence[Sequence[int]]
) -> Sequence[int]:
    """The numbers that count frames, where others beside them are random."""
    spans = sorted((max(numbers) - min(numbers), at) for at, numbers in enumerate(choices))
    if spans[0][0] * _DENSER > spans[1][0]:
        raise UnreadableClip(
            folder,
            f"which digits number the images is not clear ({files[0].name}, {files[1].name})",
            hint="Rename them so that one number says the order.",
        )
    return choices[spans[0][1]]


def _by(folder: Path, files: Sequence[Path], numbers: Sequence[int]) -> Order:
    pairs = sorted(zip(numbers, files, strict=True), key=lambda pair: (pair[0], pair[1].name))
    _check_distinct(folder, pairs, "number")
    values = _frames([number for number, _ in pairs])
    if values and values[-1] > _LARGEST:
        raise UnreadableClip(folder, f"the number of {pairs[-1][1].name} does not fit 64 bits")
    return [file for _, file in pairs], values


def _frames(numbers: list[int]) -> list[int]:
    """Times in whatever unit become counts of their usual step; counters stay as they are."""
    steps = [after - before for before, after in pairwise(numbers)]
    if not steps or (usual := median(steps)) <= _COUNTER_STEP:
        return numbers
    values = [0]
    for step in steps:
        values.append(values[-1] + max(1, round(step / usual)))
    return values


def _check_distinct(folder: Path, pairs: Sequence[tuple[int | Decimal, Path]], what: str) -> None:
    for (one, first), (two, second) in pairwise(pairs):
        if one == two:
            raise UnreadableClip(
                folder,
                f"two images have the {what} {one}: {first.name} and {second.name}",
                hint="Put the images of each camera in a folder of their own.",
            )


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)
    same = (n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(same, min(len(first), len(last)))]


def _ranked(files: list[Path]) -> Order:
    return files, list(range(len(files)))


def _ranks(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(numbers)), key=numbers.__getitem__))
