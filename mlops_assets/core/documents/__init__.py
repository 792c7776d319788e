"""One report as one object, and its three forms: Markdown, one HTML file, versioned JSON.

A ``Document`` says what was found; the forms are made of the same object, so that they cannot
disagree. Plots are SVG drawn here, in a fraction of a millisecond. What a report says belongs
to who makes the document (``core.reports``), and nothing is measured or read here.

The JSON is described by ``report.schema.json`` in this folder.
"""

from __future__ import annotations

from mlops_assets.core.documents.as_html import html
from mlops_assets.core.documents.as_json import SCHEMA, from_json, to_json
from mlops_assets.core.documents.as_markdown import markdown, picture
from mlops_assets.core.documents.bar_plot import bars
from mlops_assets.core.documents.calibration_plot import calibration
from mlops_assets.core.documents.curve_plot import curve
from mlops_assets.core.documents.document import (
    Document,
    DocumentError,
    Fact,
    Figure,
    Link,
    Section,
)
from mlops_assets.core.documents.files import Written, write
from mlops_assets.core.documents.histogram_plot import histograms
from mlops_assets.core.documents.tables import Column, Severity, Status, Table

__all__ = [
    "SCHEMA",
    "Column",
    "Document",
    "DocumentError",
    "Fact",
    "Figure",
    "Link",
    "Section",
    "Severity",
    "Status",
    "Table",
    "Written",
    "bars",
    "calibration",
    "curve",
    "from_json",
    "histograms",
    "html",
    "markdown",
    "picture",
    "to_json",
    "write",
]
