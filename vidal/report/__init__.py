"""What a person reads: query files, pre-annotations, the HTML report."""

from vidal.report.query_files import QueryFile, QueryFrame, read_query
from vidal.report.write import check_writable, write_outputs

__all__ = ["QueryFile", "QueryFrame", "check_writable", "read_query", "write_outputs"]
