"""Damage small good files in many ways and read them: a fuzzer with a fixed seed.

``python mutations.py --count 1000 --seed 0 [CASE ...]`` prints one JSON object: how many files were
read, refused and read with fewer boxes, and what went wrong. It limits its own memory and the time
of each file. What is wrong:

- anything raised but a ``VidalError``, or a message of several lines or more than 600 characters;
- more than ``SECONDS`` of processor time, or more than ``MEMORY`` bytes above what the program
  takes at its start;
- a file of the same meaning (other white space, order of keys, line ends) with another result;
- a loss in silence: fewer boxes although no line, element or item was removed, and neither an
  error nor an entry in ``Skipped`` nor a frame that waits says so.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from mutation_cases import CASES, Case, Reading

from vidal.errors import VidalError

SECONDS, MEMORY = 10, 500 << 20
_ODD = "-1 0 1e400 -1e22 nan NaN inf -Infinity 9999999 1e100000000 1_0 ٣ 0x10 1.5 null true 1e-400"
_WIDE = ("2147483648", "18446744073709551616", *("9" * width for width in (9, 19, 30, 4301)))
WILD = (*_ODD.split(), *_WIDE, '"7"', "", "-0", "00012", "1048577", "[]", "{}")
PIECES = [b"", b"\0", b"\xff", b"<", b">", b"]", b"}", b'"', b"'", b",", b"\n", b"\r", b" ", b"-"]
PIECES += [
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"&#0;",
    b"&x;",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"\x1f\x8b",
]
NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
ELEMENT = re.compile(rb"<(\w+)((?:\s[^<>]*?)?)(/?)>")


class Mutant(NamedTuple):
    """Damaged bytes: ``removes`` = something may be gone, ``same`` = the meaning is not changed."""

    data: bytes
    kind: str
    removes: bool = False
    same: bool = False


# --- bytes


def flip(rng: random.Random, data: bytes) -> Mutant:
    at = rng.randrange(len(data))
    return Mutant(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :], "flip")


def insert(rng: random.Random, data: bytes) -> Mutant:
    at, width = rng.randrange(len(data)), rng.choice((0, 0, 1, 3))
    new = data[:at] + rng.choice(PIECES) + data[at + width :]
    return Mutant(new, "insert", removes=True)  # a piece may open a comment or close the list


def truncate(rng: random.Random, data: bytes) -> Mutant:
    return Mutant(data[: rng.randrange(len(data))], "truncate", removes=True)


def chunk(rng: random.Random, data: bytes) -> Mutant:
    at, width = rng.randrange(len(data)), rng.randrange(1, 200)
    part = data[at : at + width]
    if rng.random() < 0.5:
        return Mutant(data[:at] + data[at + width :], "chunk deleted", removes=True)
    return Mutant(data[:at] + part + data[at:], "chunk doubled", removes=True)


def numbers(rng: random.Random, data: bytes) -> Mutant:
    places = list(NUMBER.finditer(data))
    if not places:
        return flip(rng, data)
    found = rng.choice(places)
    wild = rng.choice(WILD).encode() if rng.random() < 0.7 else str(rng.randrange(60)).encode()
    return Mutant(data[: found.start()] + wild + data[found.end() :], "number")


def recode(rng: random.Random, data: bytes) -> Mutant:
    name = rng.choice(
        ("utf-16", "utf-32", "utf-7", "gbk", "shift_jis", "euc_kr", "latin-1", "cp037")
    )
    try:
        text = data.decode()
        if rng.random() < 0.7:
            text = re.sub(r'encoding="[^"]*"', f'encoding="{name}"', text)
        return Mutant(text.encode(name), f"in {name}", removes=True)
    except UnicodeError:
        return flip(rng, data)


# --- structure


def _nodes(value: Any, into: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        into.append((value, key))
        if isinstance(value[key], dict | list):
            _nodes(value[key], into)
    return into


def json_tree(rng: random.Random, data: bytes) -> Mutant:
    value = json.loads(data)
    nodes = _nodes(value, [])
    parent, key = rng.choice(nodes)
    odd: list[Any] = [None, True, [], {}, "x", "", -1, 1e300, 2**70, 0, [[]], {"a": 1}, 1.5, "٣"]
    what = rng.randrange(4)
    if what == 0:
        del parent[key]
    elif what == 1:
        parent[key] = rng.choice(odd)
    elif what == 2:
        for _ in range(rng.choice((1, 50, 3000))):
            parent[key] = [parent[key]]
    else:
        parent[key] = rng.choice(nodes)[0]
    try:
        return Mutant(json.dumps(value).encode(), "tree", removes=True)
    except (RecursionError, ValueError):  # too deep or a circle: written by hand
        return Mutant(b"[" * 5000 + data, "tree", removes=True)


def xml_tree(rng: random.Random, data: bytes) -> Mutant:
    found = rng.choice(list(ELEMENT.finditer(data)))
    tag, start, end = found[1], found.start(), found.end()
    close = data.find(b"</" + tag + b">", end)
    stop = end if found[3] or close < 0 else close + len(tag) + 3
    what = rng.randrange(5)
    if what == 0:
        return Mutant(data[:start] + data[stop:], "element removed", removes=True)
    if what == 1:
        return Mutant(data[:stop] + data[start:stop] + data[stop:], "element doubled", removes=True)
    if what == 2 and (attributes := list(re.finditer(rb'\s[\w:]+="[^"]*"', found[2]))):
        one = rng.choice(attributes)
        at = found.start(2) + one.start()
        return Mutant(data[:at] + data[at + len(one[0]) :], "attribute removed")
    if what == 3:
        name = rng.choice((b"other", b"polygon", b"points", b"tag", b"x" * 300))
        whole = data[start:stop].replace(tag, name)
        return Mutant(data[:start] + whole + data[stop:], "element renamed")
    deep = rng.choice((3, 100, 5000))
    return Mutant(
        data[:start] + b"<a>" * deep + b"</a>" * deep + data[start:], "nested", removes=True
    )


def text_lines(rng: random.Random, data: bytes) -> Mutant:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[at]
        return Mutant(b"\n".join(lines), "line removed", removes=True)
    if what == 1:
        lines.insert(at, lines[rng.randrange(len(lines))])
        return Mutant(b"\n".join(lines), "line doubled")
    columns = re.split(rb"([ ,])", lines[at])
    if what == 2:
        columns.pop(rng.randrange(len(columns)))
    else:
        columns.insert(rng.randrange(len(columns) + 1), rng.choice(WILD).encode())
    lines[at] = b"".join(columns)
    return Mutant(b"\n".join(lines), "columns", removes=at == 0)  # the first may be a header


# --- the same meaning


def same_json(rng: random.Random, data: bytes) -> Mutant:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            more = {} if any(key.isdecimal() for key in value) else {"zz extra": 1}
            return {key: shuffled(item) for key, item in items} | more
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    value = shuffled(json.loads(data))
    text = json.dumps(value, indent=rng.choice((None, 1, 4)), ensure_ascii=rng.random() < 0.5)
    return Mutant(rng.choice((b"", b"\xef\xbb\xbf")) + text.encode(), "same JSON", same=True)


def same_xml(rng: random.Random, data: bytes) -> Mutant:
    what = rng.randrange(4)
    if what == 0:
        new = data.replace(b"><", b">\r\n\t<")
    elif what == 1:
        new = re.sub(rb"<(box|image|track|object)\b", rb"<\1 zz='1'", data)
    elif what == 2:
        new = data.replace(b">\n<", b"><!-- <box/> -->\n<")
    else:
        text = re.sub(r'encoding="[^"]*"', 'encoding="utf-16"', data.decode())
        new = text.encode("utf-16") if 'encoding="' in text else data
    return Mutant(new, "same XML", same=True)


def same_text(rng: random.Random, data: bytes) -> Mutant:
    end = rng.choice((b"\n", b"\r\n"))
    new = end.join(data.replace(b"\r\n", b"\n").split(b"\n")) + rng.choice(
        (b"", end, end * 3 + b"  ")
    )
    return Mutant(new, "same text", same=True)


BYTES = (flip, insert, truncate, chunk, numbers, numbers, recode)
SHAPED: dict[str, tuple[Callable[[random.Random, bytes], Mutant], ...]] = {
    "json": (json_tree, json_tree, same_json),
    "jsonl": (text_lines, text_lines, same_text),
    "xml": (xml_tree, xml_tree, same_xml),
    "text": (text_lines, text_lines, same_text),
    "other": (),
}


def packed(data: bytes, archive: str) -> bytes:
    if archive == "gz":
        return gzip.compress(data, 1, mtime=0)
    if archive != "zip":
        return data
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        out.writestr(zipfile.ZipInfo("annotations.xml"), data, zipfile.ZIP_DEFLATED)
        out.writestr(zipfile.ZipInfo("__MACOSX/._annotations.xml"), b"\0\5\x16\7")
    return stream.getvalue()


def mutant(rng: random.Random, case: Case) -> Mutant:
    """One damaged file."""
    if case.archive and rng.random() < 0.5:
        damage = rng.choice((flip, flip, insert, truncate, chunk))
        made = damage(rng, packed(case.data, case.archive))
        return made._replace(kind=f"{case.archive}: {made.kind}", removes=True)
    made = rng.choice(BYTES + SHAPED[case.shape])(rng, case.data)
    if rng.random() < 0.15 and not made.same and made.data:
        again = rng.choice(BYTES)(rng, made.data)
        made = again._replace(kind=f"{made.kind}, {again.kind}", removes=True)
    return made._replace(data=packed(made.data, case.archive))


def judge(case: Case, good: Reading, made: Mutant, root: Path) -> tuple[str, str]:
    """What became of a damaged file: (``read``, ``refused``, ``fewer`` or ``WRONG``, why)."""
    (root / case.file).write_bytes(made.data)
    start = time.process_time()  # the machine may be busy with other things
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        now = case.read(root)
    except VidalError as error:
        text = error.message
        if "\n" in text or len(text) > 600 + len(str(root)):
            return "WRONG", f"message: {text[:300]!r}"
        return ("WRONG", f"same, but {text[:300]}") if made.same else ("refused", "")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        return (
            "WRONG",
            f"{type(error).__name__}: {str(error)[:200]} ({last.filename}:{last.lineno})",
        )
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if time.process_time() - start > SECONDS:
        return "WRONG", f"{time.process_time() - start:.1f} seconds"
    if made.same and now != good:
        return "WRONG", f"same meaning, other result: {now} for {good}"
    fewer = now.boxes < good.boxes
    said = now.skipped > good.skipped or now.labelled < good.labelled
    rightly = made.removes or (case.fills and made.kind in ("number", "flip"))
    if fewer and not said and not rightly:
        return "WRONG", f"{good.boxes - now.boxes} boxes lost in silence"
    return ("fewer" if fewer else "read"), ""


def run(names: list[str], count: int, seed: int) -> dict[str, Any]:
    """Read ``count`` damaged files of each case."""
    signal.signal(signal.SIGPROF, _late)
    tally: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    for name in names:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            case.build(root)
            (root / case.file).write_bytes(packed(case.data, case.archive))
            good = case.read(root)
            assert good.boxes or good.labelled, name
            for number in range(count):
                made = mutant(random.Random(f"{name} {seed} {number}"), case)
                became, why = judge(case, good, made, root)
                tally[became] += 1
                if became == "WRONG":
                    wrong.append({"case": name, "number": number, "kind": made.kind, "why": why})
    return {"read": sum(tally.values()), "became": dict(tally), "wrong": wrong}


def _late(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", help="names; none = all")
    parser.add_argument("--count", type=int, default=100, help="files of each case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that went wrong")
    given = parser.parse_args()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    result = run(given.cases or list(CASES), given.count, given.seed)
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
        for item in result["wrong"]:
            rng = random.Random(f"{item['case']} {given.seed} {item['number']}")
            file = given.keep / f"{item['case']}-{item['number']}"
            file.write_bytes(mutant(rng, CASES[item["case"]]).data)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
