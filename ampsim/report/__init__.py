"""The page to listen with: `listening_page` writes one self-contained HTML file for a run or a comparison."""

from ampsim.report.page import listening_page

__all__ = ["listening_page"]
