"""Whatever happens to a file, a reader gives clips or one error of ours, and loses nothing quietly.

The default run damages a few hundred files. ``VIDAL_MUTATIONS=300000 pytest -m slow`` with this
file damages that many, in as many processes as ``VIDAL_MUTATION_JOBS`` says (1).
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vidal.errors import InputError

SCRIPT = Path(__file__).with_name("mutations.py")
MANY = int(os.environ.get("VIDAL_MUTATIONS", "0"))
JOBS = int(os.environ.get("VIDAL_MUTATION_JOBS", "1"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits memory as Unix does")


@pytest.fixture
def mutations(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module("mutations")


def damage(count: int, seed: int) -> dict:
    """Run the fuzzer in a process of its own, which limits its memory."""
    call = [sys.executable, str(SCRIPT), "--count", str(count), "--seed", str(seed)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_damaged_files_give_clips_or_one_error_and_lose_nothing_quietly(mutations):
    result = damage(count=10, seed=20)
    assert result["wrong"] == []
    assert result["read"] == 10 * len(mutations.CASES)
    assert result["became"]["refused"] > 100
    assert result["became"]["read"] > 50


@pytest.mark.slow
@pytest.mark.skipif(not MANY, reason="VIDAL_MUTATIONS says how many")
def test_many_damaged_files_give_clips_or_one_error_and_lose_nothing_quietly(mutations):
    count = max(1, MANY // len(mutations.CASES) // JOBS)
    with ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(lambda seed: damage(count, seed), range(100, 100 + JOBS)))
    print([result["became"] for result in results])
    assert [wrong for result in results for wrong in result["wrong"]] == []


def a_case(mutations, read, **options):
    return mutations.Case("a.json", b"[1, 2]", "json", read, **options)


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda _: (_ for _ in ()).throw(KeyError("id")), "KeyError"),
        (lambda _: (_ for _ in ()).throw(MemoryError), "MemoryError"),
        (lambda _: (_ for _ in ()).throw(InputError("a", "b\nc")), "message"),
        (lambda _: (_ for _ in ()).throw(InputError("a", "b" * 5000)), "message"),
    ],
)
def test_the_fuzzer_tells_what_is_no_error_of_ours(mutations, tmp_path, read, why):
    good = mutations.Reading(2, 1, 0, "")
    made = mutations.Mutant(b"", "flip")
    became, text = mutations.judge(a_case(mutations, read), good, made, tmp_path)
    assert became == "WRONG"
    assert text.startswith(why)


@pytest.mark.parametrize(
    ("now", "kind", "removes", "fills", "became"),
    [
        ((2, 1, 0), "flip", False, False, "read"),
        ((1, 1, 0), "flip", False, False, "WRONG"),  # a box less, and nobody says so
        ((1, 1, 1), "flip", False, False, "fewer"),  # an entry says so
        ((1, 0, 0), "flip", False, False, "fewer"),  # the frame waits
        ((1, 1, 0), "flip", True, False, "fewer"),  # something was removed
        ((1, 1, 0), "number", False, True, "fewer"),  # another key frame
        ((1, 1, 0), "element renamed", False, True, "WRONG"),
    ],
)
def test_the_fuzzer_tells_a_loss_in_silence(mutations, tmp_path, now, kind, removes, fills, became):
    good = mutations.Reading(2, 1, 0, "")
    case = a_case(mutations, lambda _: mutations.Reading(*now, ""), fills=fills)
    made = mutations.Mutant(b"", kind, removes=removes)
    assert mutations.judge(case, good, made, tmp_path)[0] == became


def test_the_fuzzer_tells_another_result_of_the_same_meaning(mutations, tmp_path):
    good = mutations.Reading(2, 1, 0, "content")
    case = a_case(mutations, lambda _: good._replace(content="other"))
    made = mutations.Mutant(b"", "same JSON", same=True)
    assert mutations.judge(case, good, made, tmp_path)[0] == "WRONG"


def test_a_damaged_file_follows_from_its_seed_and_every_kind_of_damage_occurs(mutations):
    case = mutations.CASES["cvat-images-zip"]
    made = [mutations.mutant(random.Random(seed), case) for seed in range(300)]
    again = [mutations.mutant(random.Random(seed), case) for seed in range(300)]
    assert made == again
    kinds = {kind for one in made for kind in one.kind.split(", ")}
    assert {"flip", "number", "same XML", "nested", "element renamed", "zip: flip"} <= kinds
    assert any(kind.startswith("in utf") for kind in kinds)
