"""Bits and units of H.264 and HEVC streams, as their headers are written."""

from __future__ import annotations

from collections.abc import Iterator

HEADER = 64
"""Bytes of a unit that hold all that is read of a slice header."""


class Bits:
    """Bits of a header, from the first on.

    Args:
        data: with the bytes that prevent start codes taken out (``unescaped``).
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def u(self, count: int) -> int:
        """The next ``count`` bits as an unsigned number.

        Raises:
            ValueError: the header is shorter.
        """
        if count > self._left:
            raise ValueError("header: too short")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        """The next Exp-Golomb code (ITU-T H.264, 9.1; H.265, 9.2), unsigned.

        Raises:
            ValueError: the header is shorter.
        """
        rest = self._value & ((1 << self._left) - 1)
        return self.u(2 * (self._left - rest.bit_length()) + 1) - 1

    def se(self) -> int:
        """The next Exp-Golomb code, signed.

        Raises:
            ValueError: the header is shorter.
        """
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def unescaped(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes out of it (H.264, 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def units(data: bytes, prefix: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the NAL units of a packet that states their lengths (MP4, Matroska).

    Args:
        data: the packet.
        prefix: bytes of a length.

    Raises:
        ValueError: the lengths do not add up to the packet.
    """
    at = 0
    while at < len(data):
        start = at + prefix
        at = start + int.from_bytes(data[at:start])
        if at == start or at > len(data):
            raise ValueError("units: not as long as the packet")
        yield start, at


def complete(data: bytes, start: int, end: int) -> bool:
    """Whether a slice ends with its stop bit and holds no three zeros in a row.

    These are kept out of units by their writing: such bytes were never received.
    """
    return data[end - 1] != 0 and data.find(b"\0\0\0", start, end) < 0
