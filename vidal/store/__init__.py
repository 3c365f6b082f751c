"""Evidence on disk: content keys and crash-safe writes."""

from vidal.store.keys import content_key
from vidal.store.stores import FileStore, MemoryStore
from vidal.store.tables import from_arrays, to_arrays

__all__ = ["FileStore", "MemoryStore", "content_key", "from_arrays", "to_arrays"]
