"""Out to annotation tools and trainings: archives with pictures, boxes and the map of frames."""

from vidal.exports.targets import EXPORTERS
from vidal.exports.write import Exported, write_bundle

__all__ = ["EXPORTERS", "Exported", "write_bundle"]
