"""Opening annotation files: plain, gzip and zip within limits; hidden files are passed over."""

from __future__ import annotations

import gzip
import os
import struct
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from vidal.errors import FormatError, InputError
from vidal.formats import _files
from vidal.formats._files import hidden, lines, read_bytes, visible
from vidal.formats._rows import load_json, read_text

APPLE = b"\0\5\x16\7\0\2\0\0Mac OS X        \xb0\0"


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name",
    ["._a.xml", "__MACOSX/._a.xml", "__MACOSX/a.xml", ".DS_Store", "x/Thumbs.db", ".git/a.xml"],
)
def test_files_of_file_managers_are_hidden(name):
    assert hidden(name)


@pytest.mark.parametrize("name", ["a.xml", "b/c.txt", "./a.xml", "../a.xml", "x._y.xml", "a.b/c"])
def test_data_are_not_hidden(name):
    assert not hidden(name)


def test_a_folder_lists_its_files_without_hidden_ones(tmp_path):
    for name in ("b.XML", "a.xml", "._a.xml", "c.txt", ".d/e.xml", "sub/f.xml", "__MACOSX/g.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shallow = [file.name for file in visible(tmp_path, "*.xml")]
    deep = [file.relative_to(tmp_path).as_posix() for file in visible(tmp_path, "*.xml", deep=True)]
    assert shallow == ["a.xml", "b.XML"]
    assert deep == ["a.xml", "b.XML", "sub/f.xml"]
    assert len(visible(tmp_path)) == 3


def test_a_folder_below_a_hidden_one_is_read_all_the_same(tmp_path):
    folder = tmp_path / ".cache" / "labels"
    folder.mkdir(parents=True)
    (folder / "a.xml").touch()
    assert visible(folder) == [folder / "a.xml"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="none: cannot be read"):
        visible(tmp_path / "none")


def test_plain_gzip_and_zip_give_the_same_bytes(tmp_path):
    data = b"<a/>\n" * 1000
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "gz").write_bytes(gzip.compress(data))
    zipped(tmp_path / "zip", {"a.xml": data, "__MACOSX/._a.xml": APPLE, "images/1.jpg": b"x"})
    for name in ("plain", "gz", "zip"):
        assert read_bytes(tmp_path / name, "*.xml") == data


def test_a_gzip_bomb_is_refused_before_it_is_held(tmp_path):
    packer = zlib.compressobj(9, wbits=31)
    path = tmp_path / "bomb.gz"
    with path.open("wb") as stream:
        for _ in range(256):
            stream.write(packer.compress(bytes(1 << 20)))
        stream.write(packer.flush())
    tracemalloc.start()
    with pytest.raises(FormatError, match="expands to more than 32 MB, over 100 times"):
        read_bytes(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 << 20


def test_a_large_file_that_packs_well_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "FREE", 1000)
    data = "".join(f'<box frame="{at}" xtl="{at % 640}"/>\n' for at in range(5000)).encode()
    (tmp_path / "a.gz").write_bytes(gzip.compress(data))
    assert read_bytes(tmp_path / "a.gz") == data


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"a.txt": b""}, r"expected one \.xml in the zip, found 0"),
        ({"a.xml": b"", "b.xml": b""}, r"found 2 \('a.xml', 'b.xml'\)"),
    ],
)
def test_a_zip_without_the_one_member_says_what_it_holds(tmp_path, members, why):
    with pytest.raises(FormatError, match=why):
        read_bytes(zipped(tmp_path / "a.zip", members), "*.xml")


def test_an_encrypted_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.xml": b"<a/>"})
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="encrypted zip"):
        read_bytes(path, "*.xml")


@pytest.mark.parametrize("method", [1, 6, 9, 97, 99])
def test_an_unknown_compression_is_refused(tmp_path, method):
    path = zipped(tmp_path / "a.zip", {"a.xml": b"<a/>"})
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.index(magic) + offset
        data[at : at + 2] = struct.pack("<H", method)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="broken archive"):
        read_bytes(path, "*.xml")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_to_a_zip_is_an_error_of_ours(tmp_path, method):
    body = bytes(range(256)) * 8
    good = zipped(tmp_path / "good.zip", {"a.xml": body}, method).read_bytes()
    messages = []
    for at in range(4, len(good)):  # without the first four bytes it is no zip
        path = tmp_path / "bad.zip"
        path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            assert read_bytes(path, "*.xml") == body
        except InputError as error:
            messages.append(error.message)
    assert len(messages) > 50
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_truncated_gzip_is_an_error_of_ours(tmp_path, cut):
    data = gzip.compress(os.urandom(40))
    (tmp_path / "a.gz").write_bytes(data[:-cut])
    with pytest.raises(FormatError):
        read_bytes(tmp_path / "a.gz", "*.xml")


@pytest.mark.parametrize(
    ("start", "name"), [(b"BZh9", "bzip2"), (b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!", "RAR")]
)
def test_other_archives_are_named(tmp_path, start, name):
    (tmp_path / "a").write_bytes(start + b"0000")
    with pytest.raises(FormatError, match=f"a {name} archive"):
        read_bytes(tmp_path / "a")


def test_a_zip_where_none_is_expected_says_to_unpack_it(tmp_path):
    with pytest.raises(FormatError, match="Unpack it"):
        read_bytes(zipped(tmp_path / "a.txt", {"a.txt": b""}))


def test_a_folder_and_a_missing_file_are_no_files(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="cannot be read"):
            read_bytes(path)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 18])
def test_lines_are_the_same_in_whatever_pieces_they_come(tmp_path, monkeypatch, chunk):
    text = "\ufeffa ä\r\n\r\nb €\rc\n\nd 𝄞"
    (tmp_path / "a.txt").write_bytes(text.encode())

    class Pieces(_files.Source):
        def read(self, size=chunk):
            return super().read(chunk)

    monkeypatch.setattr(_files, "Source", Pieces)
    assert list(lines(tmp_path / "a.txt")) == [
        (1, "a ä"),
        (2, ""),
        (3, "b €"),
        (4, "c"),
        (5, ""),
        (6, "d 𝄞"),
    ]


def test_lines_name_the_byte_that_is_not_utf8(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc\nde\xe4 f\n")
    with pytest.raises(FormatError, match="byte 6: not UTF-8"):
        list(lines(tmp_path / "a.txt"))


def test_an_endless_line_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "LINE", 1000)
    (tmp_path / "a.txt").write_bytes(b"ok\n" + b"x" * 2000)
    with pytest.raises(FormatError, match="line 2: longer than"):
        list(lines(tmp_path / "a.txt"))


def test_a_json_key_twice_is_refused_rather_than_lost(tmp_path):
    (tmp_path / "a.json").write_text('{"result": [1], "result": []}')
    with pytest.raises(FormatError, match="'result' twice"):
        load_json(tmp_path / "a.json")


def test_json_is_read_from_gzip_and_zip(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"a": 1}'))
    zipped(tmp_path / "a.zip", {"a.json": b'{"a": 1}', "__MACOSX/._a.json": APPLE})
    assert load_json(tmp_path / "a.json.gz") == load_json(tmp_path / "a.zip", "*.json") == {"a": 1}


def test_an_error_is_one_short_line_whatever_the_file_holds():
    error = FormatError("a.xml", "line 1", f"frame: {'9' * 5000!r} is not\na whole number")
    assert "\n" not in error.message
    assert len(error.message) < 300
    assert error.message.endswith("is not a whole number.")


def test_a_damaged_line_end_is_refused_rather_than_two_lines_in_one(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1 2 3\n4 5\x0b6 7\n")
    with pytest.raises(FormatError, match=r"line 2: control character '\\x0b'"):
        list(lines(tmp_path / "a.txt"))
    with pytest.raises(FormatError, match="control character"):
        read_text(tmp_path / "a.txt")


def test_folders_may_lie_deeper_than_python_calls_itself(tmp_path):
    deep, made = str(tmp_path), []
    for _ in range(sys.getrecursionlimit() + 100):
        deep += "/d"
        os.mkdir(deep)  # noqa: PTH102 (made one by one)
        made.append(deep)
    file = Path(deep, "a.txt")
    try:
        file.write_text("")
        assert visible(tmp_path, deep=True) == [file]
    finally:
        file.unlink(missing_ok=True)
        for place in reversed(made):
            os.rmdir(place)  # noqa: PTH106


def test_links_in_a_circle_are_files_that_cannot_be_read(tmp_path):
    (tmp_path / "a.txt").symlink_to("b.txt")
    (tmp_path / "b.txt").symlink_to("a.txt")
    (tmp_path / "home").symlink_to(".")
    assert visible(tmp_path, deep=True) == [tmp_path / "a.txt", tmp_path / "b.txt"]
    with pytest.raises(InputError, match=r"a\.txt: cannot be read"):
        read_bytes(tmp_path / "a.txt")
