"""Files of fixed names in a folder of the user's: only those that vidal wrote are replaced."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidal.errors import OutputError
from vidal.store import atomic

RECORD = ".vidal-files.json"


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Files that vidal writes into a folder, known again by their content.

    A hidden record in the folder holds the digests of what was written, before it was put in
    place: a run that was killed in between leaves nothing that the next would not know.

    Attributes:
        folder: where; exists.
        names: the files.
        earlier: whether a version that kept no record has written the folder.
    """

    folder: Path
    names: Sequence[str]
    earlier: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Refuse a folder in which a file would be replaced that vidal did not write.

        Raises:
            OutputError: names the file.
        """
        with atomic.reporting(self.folder):
            known = self._known()
            for name in self.names:
                path = self.folder / name
                if not os.path.lexists(path) or (known is None and self.earlier()):
                    continue
                plain = path.is_file() and not path.is_symlink()
                if not plain or _digest(path) not in (known or {}).get(name, ()):
                    why = "vidal did not write it as it is now, and it would be replaced"
                    hint = "Choose another folder with --out, or move that file away."
                    raise OutputError(path, why, hint=hint)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A path to write to; what is there when the block ends takes the place of ``name``.

        Raises:
            OutputError: it cannot be written.
        """
        path = self.folder / name
        fresh = atomic.beside(path)
        try:
            yield fresh
            with atomic.reporting(path):
                known = self._known() or {}
                before = known.get(name, [])[-1:]
                content = {**known, name: [*before, _digest(fresh)]}
                atomic.write_text(self.folder / RECORD, json.dumps(content, indent=1) + "\n")
                fresh.replace(path)
        finally:
            with atomic.reporting(path):
                fresh.unlink(missing_ok=True)

    def _known(self) -> dict[str, list[str]] | None:
        """Name -> digests; None where there is no record."""
        try:
            content = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            return {str(name): [str(each) for each in found] for name, found in content.items()}
        except FileNotFoundError:
            return None
        except (ValueError, AttributeError, TypeError):
            return {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
