"""Evidence on disk: content keys and crash-safe writes."""

from vidal.store.keys import KeyMaker, content_key
from vidal.store.memory import MemoryStore
from vidal.store.stores import FileStore
from vidal.store.tables import PLAIN, from_arrays, plain_fields, to_arrays

__all__ = [
    "PLAIN",
    "FileStore",
    "KeyMaker",
    "MemoryStore",
    "content_key",
    "from_arrays",
    "plain_fields",
    "to_arrays",
]
