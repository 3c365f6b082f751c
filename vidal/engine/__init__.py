"""Where clips are processed: this process, or worker processes."""

from vidal.engine.hiring import Standby
from vidal.engine.local import LocalEngine
from vidal.engine.process import ProcessEngine
from vidal.engine.progress import Listener, report

__all__ = ["Listener", "LocalEngine", "ProcessEngine", "Standby", "report"]
