"""Evidence on disk: content keys and crash-safe writes."""
