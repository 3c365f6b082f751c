"""Where clips are processed: this process, worker processes, or Ray actors."""

from vidal.engine.hiring import Standby
from vidal.engine.local import LocalEngine
from vidal.engine.process import ProcessEngine
from vidal.engine.progress import Listener, report
from vidal.engine.ray import RayEngine

__all__ = ["Listener", "LocalEngine", "ProcessEngine", "RayEngine", "Standby", "report"]
