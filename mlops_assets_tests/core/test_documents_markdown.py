"""The Markdown of a report, read by a Markdown parser: data are never markup."""

from __future__ import annotations

import base64
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from mlops_assets.core.documents import Column, Document, Section, Table, markdown
from mlops_assets.core.documents.texts import visible
from mlops_assets_tests.core import reported


def parsed(text: str) -> list:
    reader = MarkdownIt("commonmark").enable("table")
    # Of its own it would pass over some addresses; none may be there to pass over.
    reader.validateLink = lambda url: True
    tokens = reader.parse(text)
    return [token for top in tokens for token in [top, *(top.children or [])]]


def words(text: str) -> str:
    said = [t.content for t in parsed(text) if t.type in ("text", "code_inline", "text_special")]
    return " ".join("".join(said).split())


def test_the_conclusion_comes_first_in_bold():
    first = markdown(reported.long()).splitlines()[0]
    assert first == "**▲ 2 of 16 features drifted.**"


@pytest.mark.parametrize("name", ["hostile", "empty", "long"])
def test_no_text_loads_links_or_formats_anything(name):
    tokens = parsed(markdown(getattr(reported, name)()))
    for token in tokens:
        if token.type == "image":
            assert token.attrs["src"].startswith("data:image/svg+xml;base64,")
        if token.type == "link_open":
            assert token.attrs["href"] in ("https://example.test/?a=1&b=2", "2013-06-14.json")
        assert not token.type.startswith(("html", "em_", "blockquote", "fence", "ordered", "s_"))
    headings = [token for token in tokens if token.type == "heading_open"]
    assert len(headings) == len(getattr(reported, name)().sections)


def test_every_hostile_text_is_shown_as_it_is():
    shown = words(markdown(reported.hostile()))
    for text in reported.HOSTILE:
        if text.strip() and len(text) < 200:
            assert "".join(visible(text).split()) in "".join(shown.split()), text


def test_a_cell_cannot_end_a_row_or_become_another():
    table = reported.every_kind()
    document = _with(Section("s", tables=[table]))
    tokens = parsed(markdown(document))
    cells = sum(token.type == "td_open" for token in tokens)
    # The column of bars stands beside its numbers.
    assert cells == len(table.rows) * (len(table.columns) + 1)


def _with(*sections: Section) -> Document:
    return Document(
        kind="drift",
        title="t",
        model="m",
        version=1,
        window_start=reported.DAY,
        window_end=reported.DAY,
        severity="ok",
        conclusion=["Nothing."],
        sections=sections,
    )


def test_pictures_are_whole_and_know_light_and_dark():
    images = [t for t in parsed(markdown(reported.long())) if t.type == "image"]
    assert len(images) == 19
    for image in images:
        svg = base64.b64decode(image.attrs["src"].split(",", 1)[1]).decode()
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "prefers-color-scheme: dark" in svg
        assert 'class="tips"' not in svg
        assert image.content


def test_few_pictures_are_shown_where_few_are_wanted():
    text = markdown(reported.long(), figures=3)
    assert text.count("data:image") == 3
    assert "16 more figures in the HTML report." in text


def test_a_long_table_says_what_is_left_out():
    table = Table("t", [Column("a")], [[str(n)] for n in range(100)])
    assert "40 more rows in the JSON" in markdown(_with(Section("s", tables=[table])))


def test_an_empty_table_says_why():
    assert "Nothing was measured." in markdown(reported.empty())
