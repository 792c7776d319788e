"""Which SVG may stand in a report: what the plots of this package draw, and nothing else.

A report read back from JSON is shown in a browser, so its pictures are not trusted: elements and
attributes are those of an allow-list, none of which can load, link or run anything.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from mlops_assets.core.documents.tables import DocumentError

_SVG = "http://www.w3.org/2000/svg"
_OPENING = f'<svg xmlns="{_SVG}" '
_ELEMENTS = frozenset({"svg", "title", "desc", "g", "path", "rect", "circle", "text"})
_ATTRIBUTES = frozenset(
    {
        "viewBox",
        "width",
        "height",
        "role",
        "class",
        "x",
        "y",
        "cx",
        "cy",
        "r",
        "d",
        "fill",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-opacity",
        "stroke-dasharray",
        "stroke-linejoin",
        "font-family",
        "font-size",
        "font-weight",
        "text-anchor",
        "pointer-events",
    }
)
_VALUE = re.compile(r"[\w\s.,#%+-]*")


def refuse_foreign(markup: str, where: str) -> None:
    """Raise unless the markup is a picture as this package draws them.

    Raises
    ------
    DocumentError
        If it is not well-formed, or holds what a picture of a report does not need.
    """
    problem = _problem(markup)
    if problem:
        raise DocumentError(
            f"{where}: the SVG {problem}; make figures with the plots of core.documents"
        )


def _problem(markup: str) -> str:
    if not markup.startswith(_OPENING) or not markup.endswith("</svg>"):
        return f"does not begin with {_OPENING!r} and end with '</svg>'"
    # Entities, comments and instructions are read differently as XML and as HTML.
    if "<!" in markup or "<?" in markup or markup.count("xmlns") > 1:
        return "holds a declaration, a comment or another namespace"
    try:
        root = ElementTree.fromstring(markup)
    except (ElementTree.ParseError, UnicodeEncodeError) as error:
        return f"is not well-formed ({error})"
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{_SVG}}}")
        if name not in _ELEMENTS:
            return f"holds a {name!r}"
        if name not in ("title", "desc", "text") and (element.text or "").strip():
            return f"has text in a {name!r}"
        for attribute, value in element.attrib.items():
            if attribute not in _ATTRIBUTES or not _VALUE.fullmatch(value):
                return f"has {attribute}={value!r} at a {name!r}"
    return ""
