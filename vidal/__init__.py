"""vidal: choose which frames of driving video are worth annotating for object detection."""

import logging

__version__ = "0.1.0"

# As libraries do: remarks go where the application sends them. The command line says in its
# summary what matters.
logging.getLogger("vidal").addHandler(logging.NullHandler())
