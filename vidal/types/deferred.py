"""A column that is too large to hold: its rows are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types.arrays import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """(F, E) float32 that lies elsewhere.

    It has the length and the shape of an array, and indexing by a slice, a mask or positions gives
    one; NumPy's own functions read all of it. Reading many rows at once is what is cheap.

    Attributes:
        rows: (F,) int64, which rows of the whole it is.
        width: E.
        read: (n,) rows of the whole -> (n, E) float32.
        coarse: (B, E) float32, rows that stand for many each, and (F,) int64 which one stands for
            each row: for whoever need not know rows exactly. None = there is nothing of the kind.
    """

    rows: IntArray
    width: int
    read: Callable[[IntArray], NDArray[np.float32]]
    coarse: tuple[NDArray[np.float32], IntArray] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(F, E)."""
        return len(self.rows), self.width

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32."""
        return np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> NDArray[np.float32]:
        """Read some rows."""
        return self.read(self.rows[which])

    def take(self, positions: IntArray) -> Deferred:
        """These rows, unread."""
        coarse = None if self.coarse is None else (self.coarse[0], self.coarse[1][positions])
        return Deferred(self.rows[positions], self.width, self.read, coarse)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it, read now."""
        if copy is False:
            raise ValueError("a deferred column cannot be had without reading it")
        return self.read(self.rows).astype(dtype or np.float32, copy=False)
