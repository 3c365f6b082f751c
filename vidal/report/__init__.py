"""What a person reads: query files, pre-annotations, the HTML report."""

from vidal.report.place import Place, claimed
from vidal.report.query_files import QueryFile, QueryFrame, read_query
from vidal.report.write import write_outputs

__all__ = [
    "Place",
    "QueryFile",
    "QueryFrame",
    "claimed",
    "read_query",
    "write_outputs",
]
