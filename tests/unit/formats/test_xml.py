"""Streaming XML: encodings, limits, and numbers in text."""

from __future__ import annotations

import time

import pytest

from vidal.errors import FormatError, InputError
from vidal.formats import _xml
from vidal.formats._xml import events, pixels, real, whole

TEXT = '<?xml version="1.0" encoding="{}"?>\n<a n="{}"><b>{}</b></a>\n'


def read(tmp_path, data):
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    return [(e.tag, e.attributes.get("n"), e.text) for e in events(path) if not e.start]


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("GBK", "汽车"),
        ("gb18030", "汽车"),
        ("Shift_JIS", "自動車"),
        ("EUC-KR", "자동차"),
        ("Big5", "汽車"),
        ("windows-1252", "voiture é"),
        ("ISO-8859-1", "Fußgänger"),
        ("koi8-r", "машина"),
        ("UTF-16", "汽车"),
        ("UTF-32", "汽车 𝄞"),
        ("UTF-32LE", "汽车"),
        ("UTF-8", "汽车 𝄞"),
        ("utf8", "汽车"),
        ("utf-7", "汽车"),
    ],
)
def test_text_is_read_in_the_encoding_that_it_declares(tmp_path, monkeypatch, encoding, word):
    text = TEXT.format(encoding, word, word)
    if encoding == "utf-7":
        head, _, rest = text.partition("\n")
        data = head.encode() + b"\n" + rest.encode("utf-7").replace(b"+ADw-", b"<")
    else:
        data = text.encode(encoding)
    for chunk in (1 << 16, 129):  # a chunk may end within a character
        monkeypatch.setattr(_xml, "_CHUNK", chunk)
        assert read(tmp_path, data) == [("b", None, word), ("a", word, "")]


@pytest.mark.parametrize("name", ["klingon", "zip", "base64", "idna", "undefined", "x" * 150, ""])
def test_an_unknown_encoding_is_refused_by_name(tmp_path, name):
    with pytest.raises(FormatError, match=r"unknown encoding|not well-formed"):
        read(tmp_path, TEXT.format(name, "car", "car").encode())


@pytest.mark.parametrize("name", ["gbk", "klingon", "utf-" + "9" * 400])
def test_a_declaration_that_only_expat_understands_is_refused_all_the_same(tmp_path, name):
    text = f'<?xml version="1.0" encoding="{name}"?><a/>'
    with pytest.raises(FormatError, match="unknown encoding"):
        read(tmp_path, text.encode("utf-16") if name == "gbk" else text.encode())


@pytest.mark.parametrize("encoding", ["GBK", "Shift_JIS", "EUC-KR", "UTF-7", "UTF-32", "cp037"])
def test_bytes_that_the_encoding_does_not_have_are_refused(tmp_path, encoding):
    data = TEXT.format(encoding, "car", "car").encode() + b"\xff\xff\x81\x00+2AA-"
    with pytest.raises(FormatError, match=r"not text in the encoding|not well-formed"):
        read(tmp_path, data)


def test_a_document_type_hidden_in_another_encoding_is_refused(tmp_path):
    text = (
        '<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a [+ADw-!ENTITY b "c">]><a>&b;</a>'
    )
    with pytest.raises(FormatError, match="document types"):
        read(tmp_path, text.encode())


@pytest.mark.parametrize(
    "bomb",
    [
        b'<a n="' + b"x" * (60 << 20) + b'"/>',
        b"<a><!--" + b"x" * (60 << 20) + b"--></a>",
        b"<a><" + b"x" * (60 << 20),
    ],
    ids=["attribute", "comment", "name"],
)
def test_a_tag_of_sixty_megabytes_is_refused_within_seconds(tmp_path, bomb):
    start = time.process_time()
    with pytest.raises(FormatError, match="a tag of more than 8 MB"):
        read(tmp_path, bomb)
    assert time.process_time() - start < 8


def test_a_long_attribute_within_the_limit_is_read(tmp_path):
    mask = ", ".join("12" for _ in range(200_000))
    assert read(tmp_path, f'<a n="{mask}"/>'.encode()) == [("a", mask, "")]


def test_a_file_may_be_longer_than_a_tag(tmp_path, monkeypatch):
    monkeypatch.setattr(_xml, "_TAG", 1 << 17)
    assert len(read(tmp_path, b"<a>" + b"<b> text </b>" * 50_000 + b"</a>")) == 50_001


@pytest.mark.parametrize(
    "text", ["9" * 19, "9" * 4301, "1_0", "1.0", "-1e22", "٣", "", "nan", "0x1"]
)
def test_what_is_no_whole_number_is_named_and_cut_short(tmp_path, text):
    with pytest.raises(FormatError, match=r"frame: .* is not a whole number") as caught:
        whole(tmp_path, "line 1", "frame", text)
    assert len(caught.value.why) < 130


@pytest.mark.parametrize(("text", "value"), [("007", 7), (" 12 ", 12), ("-3", -3), ("+4", 4)])
def test_whole_numbers_are_read(tmp_path, text, value):
    assert whole(tmp_path, "", "frame", text) == value


@pytest.mark.parametrize("text", ["1_0", "x", "", "1,5", "0x1"])
def test_what_is_no_number_is_named(tmp_path, text):
    with pytest.raises(FormatError, match="is not a number"):
        real(tmp_path, "", "xtl", text)


@pytest.mark.parametrize("text", ["0", "-1", "1048577", "9" * 30])
def test_an_image_has_a_believable_size(tmp_path, text):
    with pytest.raises(InputError, match="width"):
        pixels(tmp_path, "", "width", text)
    assert pixels(tmp_path, "", "width", "1920") == 1920
