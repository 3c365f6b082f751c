"""The Python door: what ``import vidal`` offers, and what the command line is a thin layer over.

Each name is imported when it is used: selecting needs neither campaigns nor simulations.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidal.api.caches import cache
    from vidal.api.campaigns import Campaign
    from vidal.api.exports import export
    from vidal.api.gathering import gather
    from vidal.api.labels import read_labels
    from vidal.api.selections import SelectedFrame, Selection, select
    from vidal.api.servers import push
    from vidal.api.simulations import simulate

__all__ = [
    "Campaign",
    "SelectedFrame",
    "Selection",
    "cache",
    "export",
    "gather",
    "push",
    "read_labels",
    "select",
    "simulate",
]

_PLACES = {
    "Campaign": "campaigns",
    "SelectedFrame": "selections",
    "Selection": "selections",
    "cache": "caches",
    "export": "exports",
    "gather": "gathering",
    "push": "servers",
    "read_labels": "labels",
    "select": "selections",
    "simulate": "simulations",
}


def __getattr__(name: str) -> Any:
    """A public name, from the module that holds it (PEP 562)."""
    if name in _PLACES:
        return getattr(import_module(f"vidal.api.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'vidal.api' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
