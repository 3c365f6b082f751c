"""Headers of HEVC (ITU-T H.265, 7.3): in which order pictures are shown, without decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vidal.video.bits import HEADER, Bits, complete, unescaped, units
from vidal.video.pictures import Picture

_SPS, _PPS = 33, 34  # table 7-1
_PARAMETERS = frozenset((32, _SPS, _PPS))
_BESIDE = frozenset((35, 38, 39, 40))  # delimiters, filler, messages
_SLICES = frozenset((*range(10), 19, 20, 21))
_IDR = (19, 20)
_LEADING = range(6, 10)


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Of a picture: bits before the slice type, separate colour planes, bits of its order."""

    extra_bits: int
    planes: bool
    order_bits: int


class HevcHeaders:
    """Reads packets of one stream.

    Args:
        configuration: ``hvcC`` of the container (ISO/IEC 14496-15, 8.3.3.1).

    Raises:
        ValueError: it is none, or tells of pictures that are not shown.
    """

    def __init__(self, configuration: bytes) -> None:
        if configuration[:1] != b"\1" or len(configuration) < 23:
            raise ValueError("hvcC: missing")
        self._prefix = (configuration[21] & 3) + 1
        self._sets = set(_parameter_sets(configuration))
        sequences = dict(_sequence(unit) for unit in self._sets if _kind(unit[0]) == _SPS)
        self._pictures = dict(
            _parameters(unit, sequences) for unit in self._sets if _kind(unit[0]) == _PPS
        )

    def picture(self, data: bytes) -> Picture:
        """The one picture of a packet.

        Raises:
            ValueError: the packet is not whole, holds no picture or several, or other parameters.
        """
        found: Picture | None = None
        for start, end in units(data, self._prefix):
            kind = _kind(data[start])
            if end - start < 3 or data[start] & 129 or data[start + 1] & 0xF8:
                raise ValueError("unit: damaged, or of another layer")
            if kind in _SLICES:
                if not complete(data, start, end):
                    raise ValueError("slice: damaged")
                if (data[start + 2] >> 7 == 1) != (found is None):
                    raise ValueError("packet: not the slices of one picture")
                found = found or self._slice(data[start : min(end, start + HEADER)])
            elif kind in _PARAMETERS:
                if data[start:end] not in self._sets:
                    raise ValueError("parameters: others than before")
            elif kind not in _BESIDE:
                raise ValueError(f"unit: of type {kind}")
        if found is None:
            raise ValueError("packet: no picture")
        return found

    def _slice(self, unit: bytes) -> Picture:
        kind, layer = _kind(unit[0]), (unit[1] & 7) - 1
        bits = Bits(unescaped(unit[2:]))
        bits.u(1)  # the first of its picture
        drops = kind >= 16 and bool(bits.u(1))
        parameters = self._pictures.get(bits.ue())
        if parameters is None or layer < 0:
            raise ValueError("slice: damaged")
        bits.u(parameters.extra_bits)
        if bits.ue() > 2:
            raise ValueError("slice: damaged")
        bits.u(2 * parameters.planes)
        return Picture(
            refresh=kind in _IDR,
            drops=drops and kind in _IDR,
            reference=layer == 0 and kind not in _LEADING and (kind >= 16 or kind % 2 == 1),
            number=None,
            number_span=1,
            order=0 if kind in _IDR else bits.u(parameters.order_bits),
            order_span=1 << parameters.order_bits,
        )


def _kind(first: int) -> int:
    return first >> 1 & 63


def _parameter_sets(data: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(data[22]):
        count, at = int.from_bytes(data[at + 1 : at + 3]), at + 3
        for _ in range(count):
            end = at + 2 + int.from_bytes(data[at : at + 2])
            if end > len(data) or end < at + 5:
                raise ValueError("hvcC: cut off")
            yield data[at + 2 : end]
            at = end


def _sequence(unit: bytes) -> tuple[int, tuple[bool, int]]:
    bits = Bits(unescaped(unit[2:]))
    bits.u(4)
    layers = bits.u(3)
    bits.u(1 + 96)  # nesting; profile, tier and level
    present = [(bits.u(1), bits.u(1)) for _ in range(8 if layers else 0)][:layers]
    for profile, level in present:
        bits.u(88 * profile + 8 * level)
    name = bits.ue()
    planes = bits.ue() == 3 and bool(bits.u(1))
    bits.ue(), bits.ue()  # size
    if bits.u(1):
        bits.ue(), bits.ue(), bits.ue(), bits.ue()  # what is cut off around it
    bits.ue(), bits.ue()  # bit depths
    return name, (planes, bits.ue() + 4)


def _parameters(unit: bytes, sequences: dict[int, tuple[bool, int]]) -> tuple[int, _Parameters]:
    bits = Bits(unescaped(unit[2:]))
    name, sequence = bits.ue(), sequences.get(bits.ue())
    bits.u(1)  # dependent slices
    if sequence is None or bits.u(1):
        raise ValueError("parameters: pictures that are not shown")
    return name, _Parameters(bits.u(3), *sequence)
