"""Headers of H.264 (ITU-T H.264, 7.3): in which order pictures are shown, without decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vidal.video.bits import HEADER, Bits, complete, unescaped, units
from vidal.video.pictures import Picture

_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8  # table 7-1
_BESIDE = frozenset((6, 9, 12))  # messages, delimiters, filler
_INTRA = (2, 4, 7, 9)
_HIGH = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
"""Profiles whose parameters go on to the chroma format, 7.3.2.1.1."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What a sequence parameter set says; ``order_bits`` = 0: shown in the order of decoding."""

    planes: bool
    number_bits: int
    order_bits: int


@dataclass(frozen=True, slots=True)
class _Parameters:
    """A picture parameter set: its sequence, and whether slices tell the lower field's order."""

    sequence: _Sequence
    bottom: bool


class AvcHeaders:
    """Reads packets of one stream.

    Args:
        configuration: ``avcC`` of the container (ISO/IEC 14496-15, 5.3.3.1).

    Raises:
        ValueError: it is none, or tells of pictures that are not read here: fields, slice groups,
            an order of type 1, redundant slices.
    """

    def __init__(self, configuration: bytes) -> None:
        if configuration[:1] != b"\1" or len(configuration) < 7:
            raise ValueError("avcC: missing")
        self._prefix = (configuration[4] & 3) + 1
        self._sets = set(_parameter_sets(configuration))
        sequences = dict(_sequence(unit) for unit in self._sets if unit[0] & 31 == _SPS)
        self._pictures = dict(
            _parameters(unit, sequences) for unit in self._sets if unit[0] & 31 == _PPS
        )

    def picture(self, data: bytes) -> Picture:
        """The one picture of a packet.

        Raises:
            ValueError: the packet is not whole, holds no picture or several, or other parameters.
        """
        found: Picture | None = None
        last = -1  # first macroblock of the slice before
        for start, end in units(data, self._prefix):
            kind = data[start] & 31
            if data[start] & 128:
                raise ValueError("unit: damaged")
            if kind in (_SLICE, _IDR):
                if not complete(data, start, end):
                    raise ValueError("slice: damaged")
                first, picture = self._slice(data[start : min(end, start + HEADER)])
                if (found is None) != (first == 0) or first <= last:
                    raise ValueError("packet: not the slices of one picture")
                found, last = found or picture, first
            elif kind in (_SPS, _PPS):
                if data[start:end] not in self._sets:
                    raise ValueError("parameters: others than before")
            elif kind not in _BESIDE:
                raise ValueError(f"unit: of type {kind}")
        if found is None:
            raise ValueError("packet: no picture")
        return found

    def _slice(self, unit: bytes) -> tuple[int, Picture]:
        reference, refresh = bool(unit[0] & 0x60), unit[0] & 31 == _IDR
        bits = Bits(unescaped(unit[1:]))
        first, kind = bits.ue(), bits.ue()
        parameters = self._pictures.get(bits.ue())
        if parameters is None or kind > 9 or (refresh and (kind not in _INTRA or not reference)):
            raise ValueError("slice: damaged")
        sequence = parameters.sequence
        bits.u(2 * sequence.planes)
        number = bits.u(sequence.number_bits)
        if refresh:
            bits.ue()  # idr_pic_id
        order = bits.u(sequence.order_bits)
        if sequence.order_bits and parameters.bottom:
            bits.se()
        drops = refresh and bool(bits.u(1))  # no_output_of_prior_pics_flag: next in an I slice
        return first, Picture(
            refresh=refresh,
            drops=drops,
            reference=reference,
            number=number,
            number_span=1 << sequence.number_bits,
            order=order,
            order_span=1 << sequence.order_bits,
        )


def _parameter_sets(data: bytes) -> Iterator[bytes]:
    at = 5
    for mask in (31, 255):
        count, at = data[at] & mask if at < len(data) else 0, at + 1
        for _ in range(count):
            end = at + 2 + int.from_bytes(data[at : at + 2])
            if end > len(data) or end == at + 2:
                raise ValueError("avcC: cut off")
            yield data[at + 2 : end]
            at = end


def _sequence(unit: bytes) -> tuple[int, _Sequence]:
    bits = Bits(unescaped(unit[1:]))
    profile, _ = bits.u(8), bits.u(16)
    name, planes = bits.ue(), False
    if profile in _HIGH:
        planes = bits.ue() == 3 and bool(bits.u(1))
        bits.ue(), bits.ue(), bits.u(1)  # bit depths, lossless blocks
        if bits.u(1):
            raise ValueError("parameters: scaling matrices")
    number_bits, kind = bits.ue() + 4, bits.ue()
    if kind not in (0, 2):
        raise ValueError("parameters: order of type 1")
    order_bits = bits.ue() + 4 if kind == 0 else 0
    bits.ue(), bits.u(1), bits.ue(), bits.ue()  # references, gaps, size
    if not bits.u(1):
        raise ValueError("parameters: fields")
    return name, _Sequence(planes, number_bits, order_bits)


def _parameters(unit: bytes, sequences: dict[int, _Sequence]) -> tuple[int, _Parameters]:
    bits = Bits(unescaped(unit[1:]))
    name, sequence = bits.ue(), sequences.get(bits.ue())
    bits.u(1)  # entropy coding
    bottom = bool(bits.u(1))
    if sequence is None or bits.ue():
        raise ValueError("parameters: slice groups")
    bits.ue(), bits.ue(), bits.u(3), bits.se(), bits.se(), bits.se(), bits.u(2)
    if bits.u(1):
        raise ValueError("parameters: redundant slices")
    return name, _Parameters(sequence, bottom)
