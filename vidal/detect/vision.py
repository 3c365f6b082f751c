"""What vidal uses of torchvision, imported without torch's compiler.

``torchvision.ops.roi_align`` asks ``torch._dynamo.utils`` for one function, which it calls only
where torchvision's own operators are missing. Importing torch's compiler for it, and sympy with
that, takes as long as importing all the rest: in every worker process, before its first frame.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo.utils"


class _Later(ModuleType):
    """Stands for the compiler's module until something of it is used; then that is imported."""

    def is_compile_supported(self, device: Any) -> Any:
        """The real one's answer."""
        return self._real().is_compile_supported(device)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return import_module(_NAME)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Within the block ``torch._dynamo.utils`` is imported when it is used, not when it is named.

    Where the compiler or torchvision is imported already there is nothing to save.
    """
    if "torch._dynamo" in sys.modules or "torchvision" in sys.modules:
        yield
        return
    later = _Later(_NAME)
    sys.modules[_NAME] = later
    try:
        yield
    finally:
        if sys.modules.get(_NAME) is later:
            del sys.modules[_NAME]


with _without_compiler():
    from torchvision.models import detection
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.roi_heads import fastrcnn_loss
    from torchvision.models.detection.rpn import RPNHead
    from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, batched_nms, nms

__all__ = [
    "AnchorGenerator",
    "FasterRCNN",
    "FeaturePyramidNetwork",
    "ImageList",
    "MultiScaleRoIAlign",
    "RPNHead",
    "batched_nms",
    "detection",
    "fastrcnn_loss",
    "nms",
]
