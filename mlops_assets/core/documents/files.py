"""Where reports are kept: ``<folder>/<model>/<kind>/<last day>.html``, and ``.json`` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.core.artifacts.writing import write_durably
from mlops_assets.core.documents.as_html import html
from mlops_assets.core.documents.as_json import to_json

if TYPE_CHECKING:
    from mlops_assets.core.documents.document import Document


@dataclass(frozen=True)
class Written:
    """The files of a report, their sizes in bytes, and whether either was new or changed."""

    html: Path
    json: Path
    html_bytes: int
    json_bytes: int
    changed: bool


def write(document: Document, folder: Path) -> Written:
    """Write a report's page and JSON, each whole or not at all.

    A report of the same model, kind and last day is replaced. The same document gives the same
    bytes, and files that hold them already are left alone.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    place = Path(folder) / document.model / document.kind
    data, page = to_json(document).encode(), html(document).encode()
    data_path = place / f"{document.window_end.isoformat()}.json"
    page_path = data_path.with_suffix(".html")
    # The page last: where it is new, the JSON that it speaks of is there.
    changed = [_put(data_path, data), _put(page_path, page)]
    return Written(page_path, data_path, len(page), len(data), any(changed))


def _put(path: Path, data: bytes) -> bool:
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    write_durably(path, data)
    # Temporary files are private; a report is for whoever may open its folder.
    path.chmod(path.parent.stat().st_mode & 0o666)
    return True
