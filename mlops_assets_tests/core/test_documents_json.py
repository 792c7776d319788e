"""The JSON of a report: exact both ways, as its schema says, and read without trust."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import date, datetime
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.core.documents import (
    SCHEMA,
    Column,
    Document,
    DocumentError,
    Section,
    Table,
    from_json,
    to_json,
)
from mlops_assets_tests.core import reported

FILE = resources.files("mlops_assets.core.documents") / "report.schema.json"
SCHEMA_FILE = json.loads(FILE.read_text(encoding="utf-8"))
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
#: Every word of JSON Schema that the file uses, or that says nothing of validity.
KNOWN = {"type", "const", "enum", "anyOf", "$ref", "required", "properties", "items", "pattern"}
KNOWN |= {"additionalProperties", "minItems", "maxItems", "minLength"}
KNOWN |= {"$schema", "$id", "$defs", "title", "description"}


def problems(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """What a validator of JSON Schema 2020-12 would say, of the words in ``KNOWN``."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    found = []
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        found += problems(value, SCHEMA_FILE["$defs"][name], where)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(
        isinstance(value, TYPES[t]) and (t == "boolean" or not isinstance(value, bool))
        for t in types
    ):
        return [*found, f"{where}: not {types}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{where}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: not of {schema['enum']}")
    if "anyOf" in schema and all(problems(value, one, where) for one in schema["anyOf"]):
        found.append(f"{where}: none of the alternatives")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{where}: not like {schema['pattern']}")
        if len(value) < schema.get("minLength", 0):
            found.append(f"{where}: too short")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            found.append(f"{where}: {len(value)} items")
        for n, item in enumerate(value):
            found += problems(item, schema.get("items", {}), f"{where}[{n}]")
    if isinstance(value, dict):
        names = schema.get("properties", {})
        found += [f"{where}: no {name}" for name in schema.get("required", []) if name not in value]
        if schema.get("additionalProperties") is False:
            found += [f"{where}: has {name}" for name in value if name not in names]
        for name, part in value.items():
            found += problems(part, names.get(name, {}), f"{where}.{name}")
    return found


DOCUMENTS = ["hostile", "empty", "long"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_report_comes_back_exactly_as_it_was(name):
    document = getattr(reported, name)()
    written = to_json(document)
    assert from_json(written) == document
    assert to_json(from_json(written.encode())) == written


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_report_is_what_the_schema_says(name):
    written = json.loads(to_json(getattr(reported, name)()))
    assert problems(written, SCHEMA_FILE) == []
    assert written["schema"] == SCHEMA == SCHEMA_FILE["properties"]["schema"]["const"]


def paths(value: Any, at: tuple = ()) -> list[tuple]:
    """Where the objects of a report are."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inside = [p for k, v in items if isinstance(v, dict | list) for p in paths(v, (*at, k))]
    return [at, *inside] if isinstance(value, dict) else inside


def test_what_the_schema_forbids_is_not_read_either():
    names = reported.HOSTILE[:3]
    section = Section("s", tables=[reported.every_kind(names)])
    section = replace(section, figures=reported.every_plot("x", names)[-1:])
    document = replace(reported.hostile(), sections=[section])
    written = json.loads(to_json(document))
    seen = set()
    for path in paths(written):
        kind = tuple(step for step in path if isinstance(step, str))
        for change in ("missing", "more"):
            broken = json.loads(json.dumps(written))
            part = broken
            for step in path:
                part = part[step]
            if (kind, tuple(part), change) in seen:
                continue
            seen.add((kind, tuple(part), change))
            if change == "missing":
                del part[next(iter(part))]
            else:
                part["colour"] = "red"
            assert problems(broken, SCHEMA_FILE), path
            with pytest.raises(DocumentError):
                from_json(json.dumps(broken))
    assert len(seen) > 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "mlops_assets.report/2"}, "version of mlops-assets that wrote it"),
        ({"kind": "../../etc"}, "becomes a folder"),
        ({"model": "a/b"}, "becomes a folder"),
        ({"severity": "fine"}, "no severity"),
        ({"conclusion": []}, "1 to 10"),
        ({"conclusion": ["x"] * 11}, "1 to 10"),
        ({"conclusion": "x"}, "must be list"),
        ({"version": True}, "must be int"),
        ({"version": 1.5}, "must be int"),
        ({"window": {"start": "2013-06-15", "end": "2013-06-14"}}, "before it starts"),
        ({"window": {"start": "June", "end": "2013-06-14"}}, "no date"),
        ({"links": [{"text": "x", "href": "javascript:alert(1)"}]}, "may not be linked"),
        ({"links": [{"text": "x", "href": "//evil.test/x"}]}, "may not be linked"),
    ],
)
def test_a_wrong_report_is_refused_with_what_is_wrong(change, said):
    written = json.loads(to_json(reported.empty())) | change
    with pytest.raises(DocumentError, match=re.escape(said)):
        from_json(json.dumps(written))


@pytest.mark.parametrize("text", ["", "[]", "{", "NaN", '{"schema": NaN}', "[" * 100_000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(DocumentError):
        from_json(text)


@pytest.mark.parametrize(
    "svg",
    [
        "<svg><script>alert(1)</script></svg>",
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><script>alert(1)</script></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><image href="http://e/x"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><path fill="url(http://e)"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><g style="x:y"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><a href="javascript:x"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><foreignObject/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><h:p xmlns:h="x"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><!-- --></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><![CDATA[<b>]]></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><g></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot"></svg><img src="x"></svg>',
        '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        "",
    ],
)
def test_a_picture_that_is_not_ours_is_refused(svg):
    written = json.loads(to_json(reported.long()))
    written["sections"][0]["figures"][0]["svg"] = svg
    with pytest.raises(DocumentError, match="the SVG"):
        from_json(json.dumps(written))


def test_a_number_that_is_none_is_null_with_a_reason():
    table = Table("t", [Column("n", "number")], [[math.nan], [math.inf], [-math.inf], [None], [1]])
    written = to_json(_with(table))
    assert "NaN" not in written
    assert "Infinity" not in written
    rows = json.loads(written)["sections"][0]["tables"][0]["rows"]
    assert [row[0] for row in rows] == [
        {"value": None, "status": "nan"},
        {"value": None, "status": "inf"},
        {"value": None, "status": "-inf"},
        None,
        1,
    ]


def _with(table: Table) -> Document:
    return Document(
        kind="drift",
        title="t",
        model="m",
        version=1,
        window_start=reported.DAY,
        window_end=reported.DAY,
        severity="ok",
        conclusion=["Nothing."],
        sections=[Section("s", tables=[table])],
    )


texts = st.text(st.characters(codec=None), max_size=20)
floats = st.floats() | st.none()
rows = st.tuples(
    texts | st.booleans() | st.integers() | st.none(),
    floats | st.integers(),
    floats,
    st.tuples(st.floats(), st.floats()) | st.none(),
    st.dates() | st.datetimes() | st.none(),
)


@given(st.lists(rows, max_size=5), texts)
@settings(max_examples=40, deadline=None)
def test_no_value_is_changed_by_writing_and_reading(found, text):
    kinds = ("text", "number", "percent", "interval", "date")
    document = _with(Table(text, [Column(text, kind) for kind in kinds], found, note=text))
    again = from_json(to_json(document))
    assert again == document
    assert repr(again) == repr(document)  # 1 is not 1.0, and -0.0 not 0.0


def test_dates_are_iso():
    table = Table("t", [Column("d", "date")], [[date(2013, 6, 1)], [datetime(2013, 6, 1, 5, 30)]])
    rows = json.loads(to_json(_with(table)))["sections"][0]["tables"][0]["rows"]
    assert rows == [["2013-06-01"], ["2013-06-01T05:30:00"]]


def test_the_checks_of_these_tests_find_what_is_wrong():
    good = json.loads(to_json(reported.empty()))
    for change in ({"version": "3"}, {"facts": [{"name": 1, "value": "x"}]}, {"severity": "x"}):
        assert problems(good | change, SCHEMA_FILE)
    assert problems({}, SCHEMA_FILE)
