"""Import many malformed or hostile files into a campaign, through the command line's own door.

Good files of every format are damaged: single bytes, cut ends, lost and doubled parts, wild
numbers, other names of frames and classes, boxes, sizes and pictures in each other's place, bombs,
links and names that lead out of archives. Each is given to ``vidal import`` in this process.
Counted are:

crashes: anything but an exit with 0, or with 2 and a message of vidal's on one line and a hint on
    one more; or more than SECONDS.
changed: a refusal after which the database is not what it was.
silent: an import that took something else than the file says. That is: a frame was recorded and
    - the file names no such picture, or says that it was skipped; or
    - its objects, by a reading of the file that shares no code with vidal (``fuzz_reading.py``),
      are others in number or class, or lie more than NEAR pixels elsewhere (boxes that lie outside
      the picture are none, where the summary lists what was left out); or
    - that reading cannot read the file, and the record is not what the undamaged file says; or
    - the file has a picture under the name of that frame whose bytes are another frame's picture.
    A changed number that is a good number is what the file says: no reader can know better.

    python tools/fuzz_imports.py --count 1000 --seed 0 --out tools/results/fuzz_imports.json
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_damage import damaged
from fuzz_files import WRITERS, Good
from fuzz_reading import Said, Unclear, is_object, members, named_for, said

from vidal.cli import main
from vidal.video import write_video

SECONDS, NEAR = 10.0, 0.02
FRAMES, SIZE, CLASSES = 10, (96, 64), ("car", "sign")
TABLES = ("rounds", "frames", "boxes", "events", "imports", "answers", "held_frames", "held_boxes")


class Campaign(NamedTuple):
    """One that waits for answers.

    Attributes:
        work: its folder.
        good: what was asked, and what the good files say.
        pristine: its record as it waits.
        pictures: SHA-256 of a picture -> its name.
    """

    work: Path
    good: Good
    pristine: bytes
    pictures: dict[str, str]


def begin(folder: Path) -> Campaign:
    """Render clips, begin a campaign, ask for frames."""
    (folder / "clips").mkdir(parents=True)
    for number in range(2):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 255, (FRAMES, 8, 12, 3), dtype=np.uint8)
        images = [np.kron(each, np.ones((8, 8, 1), np.uint8)) for each in coarse]
        write_video(folder / "clips" / f"clip{number}.mp4", images, Fraction(10))
    work = folder / "work"
    begun = ["init", work, "--videos", folder / "clips", "--classes", ",".join(CLASSES)]
    begun += ["--detector", "scenes-tiny", "--device", "cpu", "--initial", "4"]
    for each in (begun, ["select", "--campaign", work, "--quiet", "--no-report"]):
        code, told = call(each)
        if code:
            raise SystemExit(told)
    rows = json.loads((work / "queries/round-000/query.json").read_text("utf-8"))["frames"]
    names = {Path(row["file"]).name: (row["clip"], row["ordinal"]) for row in rows}
    rng = np.random.default_rng(7)
    objects: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
    for name in names:
        objects[name] = []
        for _ in range(2):
            x, y, w, h = rng.integers((2, 2, 8, 8), (50, 30, 40, 30)).tolist()
            objects[name].append((CLASSES[int(rng.integers(2))], (x, y, x + w, y + h)))
    frames = work / "queries/round-000/frames"
    pictures = {name: (frames / name).read_bytes() for name in names}
    good = Good(names, objects, pictures, SIZE, FRAMES)
    digests = {hashlib.sha256(data).hexdigest(): name for name, data in pictures.items()}
    return Campaign(work, good, (work / "campaign.sqlite").read_bytes(), digests)


def call(arguments: list[Any]) -> tuple[int, str]:
    """Run a command of vidal's: its exit code and what it printed; other exceptions pass."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = int(main([str(each) for each in arguments]) or 0)
        except SystemExit as ending:
            code = int(ending.code or 0) if isinstance(ending.code, int | None) else 70
    return code, out.getvalue() if not code else err.getvalue()


def content(work: Path) -> dict[str, list[Any]]:
    """All rows of the record."""
    with closing(sqlite3.connect(work / "campaign.sqlite")) as db:
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}


def restore(campaign: Campaign) -> None:
    """Let the campaign wait again."""
    for each in campaign.work.glob("campaign.sqlite*"):
        each.unlink()
    (campaign.work / "campaign.sqlite").write_bytes(campaign.pristine)


def recorded(rows: dict[str, list[Any]]) -> dict[tuple[str, int], list[tuple[str, Any]]]:
    """Frame -> its objects as (class, corners), of frames with an answer."""
    found: dict[tuple[str, int], list[tuple[str, Any]]] = {
        (row[0], row[1]): [] for row in rows["frames"] if row[5] == "labelled"
    }
    for clip, frame, *corners, label, _, _ in rows["boxes"]:
        found[clip, frame].append((CLASSES[label] if label >= 0 else "?", tuple(corners)))
    return found


def same(mine: list[tuple[str, Any]], theirs: list[tuple[str, Any]]) -> bool:
    """Whether two lists of objects are one, in any order."""
    known = {name.casefold(): name for name in CLASSES}
    left = [(known.get(label.casefold(), "?"), box) for label, box in theirs]
    for label, box in mine:
        at = next(
            (
                at
                for at, (name, other) in enumerate(left)
                if name == label
                and max(abs(a - b) for a, b in zip(box, other, strict=True)) <= NEAR
            ),
            None,
        )
        if at is None:
            return False
        left.pop(at)
    return not left


def why_silent(
    campaign: Campaign, path: Path, kind: str, rows: dict[str, list[Any]], listed: int
) -> str | None:
    """What was taken that the file does not say; None = nothing."""
    answers = recorded(rows)
    try:
        told: list[Said] | None = said(path, kind, SIZE)
    except Unclear:
        told = None
    for (clip, frame), objects in answers.items():
        if told is None:
            name = next(n for n, ref in campaign.good.names.items() if ref == (clip, frame))
            if not same(objects, campaign.good.objects[name]):
                return f"{clip}@{frame} from a file that cannot be read otherwise"
            continue
        about = [each for each in told if named_for(each.name, clip) == frame]
        if len(about) != 1:
            return f"{clip}@{frame} of {len(about)} pictures"
        wanted = [o for o in about[0].objects if not listed or is_object(o[1], SIZE)]
        if about[0].skipped or not same(objects, wanted):
            return f"{clip}@{frame}: {objects} instead of {about[0].objects}"
    return _wrong_picture(campaign, path, answers)


def _wrong_picture(campaign: Campaign, path: Path, answers: Any) -> str | None:
    """A picture under the name of an answered frame that is another frame's."""
    try:
        files = members(path)
    except Exception:  # cannot be unpacked: then nobody saw its pictures
        return None
    for name, data in files.items():
        owner = campaign.pictures.get(hashlib.sha256(data).hexdigest())
        for clip, frame in answers if owner is not None else ():
            if named_for(name, clip) == frame and campaign.good.names[owner] != (clip, frame):
                return f"{clip}@{frame} has the picture {owner}"
    return None


def judged(campaign: Campaign, path: Path, kind: str, options: list[str]) -> tuple[str, str]:
    """Import a file: ``taken``, ``nothing``, ``refused``, ``crash``, ``changed`` or ``silent``;
    and what was said, or what is wrong."""
    restore(campaign)
    before, began = content(campaign.work), time.monotonic()
    try:
        code, told = call(["import", campaign.work, "--from", path, "--json", *options])
    except BaseException:
        return "crash", traceback.format_exc(limit=-3)
    after = content(campaign.work)
    lines = told.strip().splitlines()
    if code == 2 and before != after:
        return "changed", told
    if code not in (0, 2) or time.monotonic() - began > SECONDS:
        return "crash", f"exit {code} after {time.monotonic() - began:.1f} s: {told[-300:]}"
    if code == 2:
        proper = lines and lines[0].startswith("vidal: ") and len(lines) <= 2
        return ("refused", lines[0]) if proper else ("crash", f"not a message: {told[:300]}")
    wrong = why_silent(campaign, path, kind, after, len(json.loads(told)["left_out"]))
    if wrong is not None:
        return "silent", wrong
    return ("taken" if recorded(after) else "nothing"), ""


def experiment(folder: Path, count: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """All imports.

    Args:
        folder: scratch.
        count: files.
        seed: of the damage.
        keep: where files that went wrong are put.
    """
    campaign = begin(folder)
    outcomes, by_kind = Counter[str](), Counter[str]()
    wrong: list[dict[str, Any]] = []
    for kind in WRITERS:  # the good ones first: they are taken whole
        path = WRITERS[kind](campaign.good, folder / "good")
        outcome, told = judged(campaign, path, kind.partition(" ")[0], ["--empty-ok"])
        answers = recorded(content(campaign.work))
        if outcome != "taken" or len(answers) != len(campaign.good.names):
            raise SystemExit(f"the good file of {kind}: {outcome} {told}")
        shutil.rmtree(folder / "good")
    began, longest = time.monotonic(), 0.0
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        kind = list(WRITERS)[number % len(WRITERS)]
        path, damage = damaged(rng, campaign.good, kind, folder / "bad")
        options = rng.choice((["--empty-ok"], ["--empty-ok"], [], ["--empty-ok", "--replace"]))
        start = time.monotonic()
        outcome, told = judged(campaign, path, kind.partition(" ")[0], options)
        longest = max(longest, time.monotonic() - start)
        outcomes[outcome] += 1
        by_kind[f"{kind}: {outcome}"] += 1
        if outcome in ("crash", "changed", "silent"):
            case = {"number": number, "kind": kind, "damage": damage, "outcome": outcome}
            wrong.append({**case, "why": told[-600:]})
            if keep is not None:
                place = keep / f"{number}-{path.name}"
                shutil.copytree(path, place) if path.is_dir() else shutil.copy(path, place)
        shutil.rmtree(folder / "bad")
    return {
        "files": count,
        "seed": seed,
        "crashes": outcomes["crash"],
        "silent_acceptances": outcomes["silent"],
        "database_changed_on_refusal": outcomes["changed"],
        "refused": outcomes["refused"],
        "taken_as_the_file_says": outcomes["taken"],
        "nothing_taken": outcomes["nothing"],
        "by_format": dict(sorted(by_kind.items())),
        "seconds": round(time.monotonic() - began, 1),
        "longest_import_seconds": round(longest, 2),
        "wrong": wrong,
    }


def cli() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="JSON file; default: stdout")
    parser.add_argument("--keep", type=Path, default=None, help="folder for files that went wrong")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        outcome = experiment(Path(name), given.count, given.seed, given.keep)
    text = json.dumps(outcome, indent=2, allow_nan=False) + "\n"
    if given.out is None:
        print(text, end="")
    else:
        given.out.write_text(text, "utf-8")
    return 1 if outcome["wrong"] else 0


if __name__ == "__main__":
    sys.exit(cli())
