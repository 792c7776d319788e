"""Reports on disk, and what a document refuses to be made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from mlops_assets.core.documents import (
    Column,
    DocumentError,
    Fact,
    Figure,
    Link,
    Section,
    Status,
    Table,
    from_json,
    html,
    write,
)
from mlops_assets_tests.core import reported


def test_a_report_is_written_where_it_is_looked_for(tmp_path):
    written = write(reported.long(), tmp_path)
    assert written.html == tmp_path / "late_arrival" / "drift" / "2013-06-14.html"
    assert written.json == written.html.with_suffix(".json")
    assert written.html.read_text(encoding="utf-8") == html(reported.long())
    assert from_json(written.json.read_bytes()) == reported.long()
    assert (written.html_bytes, written.json_bytes) == (
        written.html.stat().st_size,
        written.json.stat().st_size,
    )
    assert written.changed


def test_the_same_report_leaves_the_same_bytes_and_the_files_alone(tmp_path):
    first = write(reported.hostile(), tmp_path)
    before = [(p.read_bytes(), p.stat().st_ino) for p in (first.html, first.json)]
    second = write(reported.hostile(), tmp_path)
    assert not second.changed
    assert [(p.read_bytes(), p.stat().st_ino) for p in (first.html, first.json)] == before


def test_another_report_of_the_day_replaces_the_first_and_leaves_nothing_behind(tmp_path):
    first = write(reported.long(), tmp_path)
    second = write(replace(reported.long(), severity="ok"), tmp_path)
    assert second.changed
    assert first.html == second.html
    assert from_json(second.json.read_bytes()).severity == "ok"
    assert sorted(p.name for p in second.html.parent.iterdir()) == [
        "2013-06-14.html",
        "2013-06-14.json",
    ]


def test_a_write_that_fails_leaves_the_old_report_whole(tmp_path, monkeypatch):
    written = write(reported.long(), tmp_path)
    before = written.html.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(replace(reported.long(), severity="ok"), tmp_path)
    assert written.html.read_bytes() == before
    assert len(list(written.html.parent.iterdir())) == 2


def test_who_may_open_the_folder_may_read_the_report(tmp_path):
    folder = tmp_path / "reports"
    written = write(reported.empty(), folder)
    shared = written.html.parent.stat().st_mode & 0o666
    assert written.html.stat().st_mode & 0o777 == written.json.stat().st_mode & 0o777 == shared


@pytest.mark.parametrize("model", ["../x", "a/b", "", ".", "a b", "-x\n"])
def test_a_name_cannot_lead_out_of_the_folder(model):
    with pytest.raises(DocumentError, match="becomes a folder"):
        replace(reported.empty(), model=model)
    with pytest.raises(DocumentError, match="becomes a folder"):
        replace(reported.empty(), kind=model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"window_start": datetime(2013, 6, 14)}, "must be a date"),
        ({"window_start": date(2013, 6, 15)}, "before it starts"),
        ({"version": "3"}, "must be an int"),
        ({"conclusion": "Drifted."}, "list of lines"),
        ({"conclusion": [" "]}, "must say something"),
        ({"sections": [Fact("a", "b")]}, "must be of Section"),
        ({"language": "x y"}, "take one such as"),
        ({"title": None}, "must be text"),
    ],
)
def test_a_document_that_cannot_be_shown_is_refused_when_it_is_made(change, said):
    with pytest.raises(DocumentError, match=said):
        replace(reported.empty(), **change)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", 1.5),
        ("text", date(2013, 6, 14)),
        ("code", 3),
        ("number", "3"),
        ("number", True),
        ("percent", "3 %"),
        ("interval", 3.0),
        ("interval", (1.0,)),
        ("interval", "ab"),
        ("date", "2013-06-14"),
        ("status", "ok"),
    ],
)
def test_a_cell_of_another_kind_is_refused_with_its_place(kind, value):
    with pytest.raises(DocumentError, match="table 'Metrics': row 1, column 'c'"):
        Table("Metrics", [Column("c", kind)], [[value]])


def test_numbers_of_numpy_and_times_of_pandas_are_cells():
    import numpy as np
    import pandas as pd

    columns = [Column("n", "number"), Column("p", "percent"), Column("d", "date"), Column("t")]
    rows = [
        [np.int64(3), np.float32(0.5), pd.Timestamp("2013-06-14 05:00"), np.bool_(True)],
        [np.float64("nan"), np.float64(1), pd.NaT, np.int32(7)],
    ]
    table = Table("t", columns, rows)
    assert table.rows[0] == (3, 0.5, datetime(2013, 6, 14, 5), True)
    assert table.rows[1][2] is None
    assert [type(cell) for cell in table.rows[0]] == [int, float, datetime, bool]


@pytest.mark.parametrize(
    "made",
    [
        lambda: Table("t", []),
        lambda: Table("t", [Column("a")], [["x", "y"]]),
        lambda: Column("a", "money"),
        lambda: Column("a", "text", bar=True),
        lambda: Status("fine"),
        lambda: Link("x", "javascript:alert(1)"),
        lambda: Link("x", "data:text/html,x"),
        lambda: Link("x", " https://e.test"),
        lambda: Figure("f", "<svg></svg>", "alt"),
        lambda: Section("s", points="one text"),
    ],
)
def test_what_makes_no_sense_is_refused(made):
    with pytest.raises(DocumentError):
        made()
