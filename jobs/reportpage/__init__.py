"""A report as one HTML page that needs nothing else: no network, no library, no file.

`series` bins what there is to plot, so that the page's size does not follow the number of
tasks; `charts` draws it as SVG; `tables` lists the rest; `page` puts these together with
style and script.
Not here: what the figures mean (`jobs.report`, `jobs.prices`).
"""

from __future__ import annotations

from jobs.reportpage.page import Facts, render, write_page

__all__ = ["Facts", "render", "write_page"]
