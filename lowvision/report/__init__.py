"""Format the report of a run or an evaluation as text, HTML and files."""

from lowvision.report.files import FILES, read, write
from lowvision.report.page import html
from lowvision.report.plain import text
from lowvision.report.table import SCHEMA

__all__ = ["FILES", "SCHEMA", "html", "read", "text", "write"]
