"""What packets alone prove is what decoding shows; of everything else they prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from stamped import CLIPS, X265, B, encode, irregular
from test_mutated_videos import BASES, FRAMES, KINDS, mutate

from vidal.video import index, open_clip
from vidal.video.bits import Bits, unescaped
from vidal.video.pictures import Picture, agrees, reorder_depth
from vidal.video.source import Source

Clips = Callable[[str], Path]

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
PROVEN = {
    *("h264.mp4", "h264_open_gop.mp4", "h264_one_key.mp4", "h264_refresh.mp4", "h264_vfr.mp4"),
    *("h264_vfr.mkv", "h264_fragmented.mp4", "hevc.mp4", "hevc_vfr.mp4"),
    *("turned_90.mp4", "turned_180.mp4"),
}
MORE: dict[str, dict[str, Any]] = {
    "fragments_of_irregular_times.mp4": {
        "options": B,
        "pts": irregular(),
        "container": FRAGMENTS,
    },
    "hevc.mkv": {"codec": "libx265", "options": X265},
    "hevc_fragments.mp4": {"codec": "libx265", "options": X265, "container": FRAGMENTS},
    "one.mp4": {"frames": 1},
    "two.mp4": {"frames": 2},
    "slices.mp4": {"options": {**B, "slices": "4"}},
    "baseline.mov": {"options": {"profile": "baseline", "g": "12"}},
    "ten_bits.mp4": {"options": B, "pixels": "yuv420p10le"},
    "order_wraps.mp4": {"options": {"bf": "3", "g": "250", "sc_threshold": "0"}, "frames": 90},
}
DOUBTED: dict[str, dict[str, Any]] = {
    "edited.mp4": {"options": B, "pts": [n * 40 - 200 for n in range(60)]},
    "fields.mp4": {"options": {**B, "flags": "+ildct+ilme"}},
}


def tables(path: Path) -> tuple[Any, Any]:
    """The table by the packets and the one by decoding, None where there is none."""
    return index._by_packets(path), index._by_time(path)


def equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    pairs = [(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)]
    return all(np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


@pytest.mark.parametrize("name", sorted(PROVEN))
def test_packets_prove_the_table_that_decoding_gives(name: str, stamped_clip: Clips) -> None:
    proven, decoded = tables(stamped_clip(name))
    assert proven is not None
    assert equal(proven, decoded)


@pytest.mark.parametrize("name", MORE)
def test_more_packets_prove_the_table_that_decoding_gives(name: str, tmp_path: Path) -> None:
    proven, decoded = tables(encode(tmp_path / name, **MORE[name]))
    assert proven is not None
    assert equal(proven, decoded)


@pytest.mark.parametrize("name", sorted(CLIPS.keys() - PROVEN))
def test_other_containers_and_codecs_are_decoded(name: str, stamped_clip: Clips) -> None:
    assert index._by_packets(stamped_clip(name)) is None


@pytest.mark.parametrize("name", DOUBTED)
def test_edit_lists_and_fields_are_decoded(name: str, tmp_path: Path) -> None:
    assert index._by_packets(encode(tmp_path / name, **DOUBTED[name])) is None


@pytest.mark.parametrize("name", ["h264.mp4", "h264_one_key.mp4", "h264_vfr.mkv"])
def test_opening_a_plain_file_decodes_three_pictures(
    name: str, stamped_clip: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    frames = Source._frames

    def counting(source: Source, packet: Any) -> Any:
        decoded.append(packet is not None)
        return frames(source, packet)

    monkeypatch.setattr(Source, "_frames", counting)
    assert open_clip(stamped_clip(name)).frames == 60
    assert 1 <= sum(decoded) <= 3


def remuxed(path: Path, to: Path, change: Callable[[list[av.Packet]], list[av.Packet]]) -> Path:
    """The packets of a file, changed, in a new one."""
    with av.open(str(path)) as source, av.open(str(to), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in change(packets):
            packet.stream = stream
            output.mux(packet)
    return to


def in_order_of_storage(packets: list[av.Packet]) -> list[av.Packet]:
    for packet, time in zip(packets, sorted(packet.pts for packet in packets), strict=True):
        packet.pts = packet.dts = time
    return packets


def test_times_that_contradict_the_pictures_prove_nothing(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", options=B)
    path = remuxed(whole, tmp_path / "a.mp4", in_order_of_storage)
    assert tables(path) == (None, None)
    assert open_clip(path).reader == "order"


@pytest.mark.parametrize("lost", [1, 7, 50])
def test_lost_pictures_prove_nothing(lost: int, tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", options={"bf": "0", "g": "250", "sc_threshold": "0"})
    path = remuxed(
        whole, tmp_path / "a.mp4", lambda packets: [*packets[:lost], *packets[lost + 1 :]]
    )
    proven, decoded = tables(path)
    assert proven is None or equal(proven, decoded)
    if lost < 40:
        assert proven is None


def test_stream_that_begins_between_keyframes_proves_nothing(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mkv", options=B)
    assert (
        index._by_packets(remuxed(whole, tmp_path / "a.mkv", lambda packets: packets[3:])) is None
    )


def test_mutated_files_prove_only_what_decoding_shows(tmp_path: Path) -> None:
    names = ("h264.mp4", "faststart.mp4", "fragmented.mp4", "h264.mkv", "hevc.mp4")
    rng = np.random.default_rng(11)
    claims = 0
    for name in names:
        path = encode(tmp_path / name, frames=FRAMES, **BASES[name])
        with av.open(str(path)) as container:
            packets = [bytes(each) for each in container.demux(video=0) if each.size > 200]
        data = path.read_bytes()
        for kind in KINDS:
            path.write_bytes(mutate(data, kind, packets, rng))
            try:
                proven = index._by_packets(path)
            except OSError:
                continue
            claims += proven is not None
            assert proven is None or equal(proven, index._by_time(path)), (name, kind)
    assert claims > 10


@pytest.mark.parametrize("back", [1, 2])
def test_damage_in_the_last_pictures_is_seen(back: int, tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", options=B, frames=FRAMES)
    with av.open(str(path)) as container:
        packets = [bytes(each) for each in container.demux(video=0) if each.size]
    hurt = bytearray(path.read_bytes())
    at = hurt.find(packets[-back]) + len(packets[-back]) // 3
    hurt[at : at + 60] = np.random.default_rng(3).integers(1, 256, 60, dtype=np.uint8).tobytes()
    path.write_bytes(hurt)
    proven, decoded = tables(path)
    assert decoded.truncated == (back == 1)
    assert equal(proven, decoded)


# ---- headers


def test_codes_of_headers_are_read() -> None:
    bits = Bits(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [bits.ue() for _ in range(4)] == [0, 1, 2, 3]
    assert bits.se() == -2
    with pytest.raises(ValueError, match="too short"):
        bits.ue()
    assert unescaped(b"\1\0\0\3\1\0\0\3") == b"\1\0\0\1\0\0"


def picture(order: int, **changed: Any) -> Picture:
    plain = {"refresh": False, "drops": False, "reference": True, "number": None}
    return Picture(**{**plain, "number_span": 16, "order": order, "order_span": 16, **changed})


def test_order_of_pictures_is_followed_where_its_few_bits_wrap() -> None:
    steps = [4 * n for n in range(12)]
    pictures = [picture(step % 16) for step in steps]
    assert agrees(pictures, np.array(steps))
    assert not agrees(pictures, np.array([*steps[:5], steps[6], steps[5], *steps[7:]]))


def test_pictures_after_a_refresh_come_after_all_before_it() -> None:
    pictures = [picture(0, refresh=True), picture(8), picture(0, refresh=True), picture(2)]
    assert agrees(pictures, np.array([0, 1, 2, 3]))
    assert not agrees(pictures, np.array([0, 2, 1, 3]))
    dropping = [*pictures[:2], picture(0, refresh=True, drops=True), pictures[3]]
    assert not agrees(dropping, np.array([0, 1, 2, 3]))


def test_gap_in_the_count_of_references_is_seen() -> None:
    whole = [picture(2 * n, number=n) for n in range(4)]
    assert agrees(whole, np.arange(4))
    assert not agrees([*whole[:2], whole[3]], np.arange(3))


def test_reorder_depth_counts_what_is_decoded_before_and_shown_after() -> None:
    assert reorder_depth(np.array([0, 1, 2]), 32) == 0
    assert reorder_depth(np.array([0, 4, 2, 1, 3]), 32) == 2
    assert reorder_depth(np.array([0, 3, 1, 2]), 32) == 1
