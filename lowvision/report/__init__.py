"""What a run ends with: one plain document, told as text, as a page, and as files."""

from lowvision.report.files import write
from lowvision.report.page import html
from lowvision.report.plain import text

__all__ = ["html", "text", "write"]
