"""vidal: choose which frames of driving video are worth annotating for object detection.

    import vidal

    chosen = vidal.select("clips/", budget="2%")
    chosen.save("selection")

    work = vidal.Campaign.create("work", videos="clips/", classes=["car", "pedestrian"])
    work.select(); work.import_("annotations.xml"); work.train()

Nothing heavy is imported before it is used.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidal.api import (
        Campaign,
        SelectedFrame,
        Selection,
        cache,
        export,
        gather,
        push,
        read_labels,
        select,
        simulate,
    )
    from vidal.errors import VidalError

__version__ = "0.1.0"

__all__ = [
    "Campaign",
    "SelectedFrame",
    "Selection",
    "VidalError",
    "__version__",
    "cache",
    "export",
    "gather",
    "push",
    "read_labels",
    "select",
    "simulate",
]

# As libraries do: remarks go where the application sends them. The command line says in its
# summary what matters.
logging.getLogger("vidal").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first used (PEP 562)."""
    if name == "VidalError":
        return import_module("vidal.errors").VidalError
    if name in __all__:
        return getattr(import_module("vidal.api"), name)
    raise AttributeError(f"module 'vidal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
