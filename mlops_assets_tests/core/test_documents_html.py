"""The page of a report: nothing breaks out, nothing is fetched, everybody can read it."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_assets.core.documents import Column, Document, Section, Table, html
from mlops_assets.core.documents.as_html import MAX_BYTES
from mlops_assets.core.documents.texts import visible
from mlops_assets_tests.core import reported

VOID = {"meta", "link", "wbr", "br", "img"}


class Page(HTMLParser):
    """The elements of a page, its texts, and whether every element is closed in turn."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.fixture(scope="module", params=["hostile", "empty", "long"])
def page(request) -> Page:
    return Page(html(getattr(reported, request.param)()))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def file(name: str) -> str:
    return (resources.files("mlops_assets.core.documents") / name).read_text(encoding="utf-8")


def test_nothing_is_fetched_and_nothing_runs(page):
    assert not page.of("script", "iframe", "object", "embed", "form", "img", "base", "image", "use")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "srcset", "action", "xlink:href", "data", "poster"):
            assert name not in attributes, tag
        if "href" in attributes and tag != "a":
            assert attributes["href"] == "data:,"
    [policy] = [m["content"] for m in page.of("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy
    styles = file("report.css") + file("plots.css")
    assert not re.search(r"url\(|@import|@font-face|expression", styles)


def test_links_lead_only_where_they_were_told_to():
    found = Page(html(reported.hostile())).of("a")
    assert {a["href"] for a in found} == {
        *("#report", "#s1", "#s2", "#s3"),
        "https://example.test/?a=1&b=2",
    }


def test_every_hostile_text_is_shown_as_it_is():
    shown = " ".join(Page(html(reported.hostile())).text.split())
    for text in reported.HOSTILE:
        if text.strip() and len(text) < 200:
            assert visible(text) in shown
    assert "(4,800 more characters)" in shown


@given(text=st.text(st.characters(codec=None), max_size=60))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_whatever_changes_the_structure_of_the_page(text):
    def made(said: str) -> Page:
        names = [said] * 3
        return Page(
            html(
                Document(
                    kind="drift",
                    title=said,
                    model="m",
                    version=1,
                    window_start=reported.DAY,
                    window_end=reported.DAY,
                    severity="ok",
                    conclusion=["x" + said, said],
                    sections=[
                        Section(
                            said,
                            points=[said],
                            tables=[reported.every_kind(names)],
                            figures=reported.every_plot(said, names),
                        )
                    ],
                )
            )
        )

    def structure(found: Page) -> list[tuple[str, list[str]]]:
        # A word may break at each underscore; a figure without a caption has no caption.
        return [(tag, sorted(a)) for tag, a in found.elements if tag not in ("wbr", "small")]

    quiet = "word" if visible(text) else ""
    assert structure(made(text)) == structure(made(quiet))


def test_the_page_can_be_read_without_seeing_it(page):
    assert page.of("html")[0]["lang"] == "en"
    assert page.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["table"] == tags["caption"] == tags["thead"] == tags["tbody"]
    assert all(th["scope"] in ("row", "col") for th in page.of("th"))
    assert tags["main"] == 1
    for svg in page.of("svg"):
        assert svg["role"] == "img"
        assert svg["aria-label"].strip()
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for target in attributes.get("aria-labelledby", "").split():
            assert target in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_what_scrolls_can_be_reached_with_the_keyboard(page):
    scrolling = [d for d in page.of("div") if d.get("class") == "scroll"]
    assert len(scrolling) == len(page.of("table"))
    assert all(d["tabindex"] == "0" and d["role"] == "region" for d in scrolling)
    assert not [a for _, a in page.elements if int(a.get("tabindex", 0)) > 0]


def test_texts_have_enough_contrast_in_light_and_in_dark():
    schemes = re.findall(r":root \{(.*?)\}", file("report.css"), re.DOTALL)[:2]
    for scheme in schemes:
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", scheme))
        for ground in ("ground", "card", "shade"):
            for ink in ("ink", "quiet", "link"):
                assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
        for status in ("ok", "warning", "problem", "unknown"):
            assert contrast(colour[status], colour[f"{status}-ground"]) >= 4.5
            assert contrast(colour[status], colour["card"]) >= 3


def test_the_page_adapts_to_dark_print_phone_and_reduced_motion():
    css = file("report.css")
    for wanted in (
        "screen and (prefers-color-scheme: dark)",
        "prefers-reduced-motion",
        "@media print",
        "@media (max-width",
        "table-header-group",
        "break-inside: avoid",
    ):
        assert wanted in css
    # Motion only where it is welcome.
    still = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\} \}", "", css)
    assert not re.search(r"animation|transition|smooth", still)


def test_a_report_of_sixteen_columns_takes_less_than_a_megabyte():
    assert len(html(reported.long()).encode()) < 300_000


def test_a_report_that_is_too_large_is_made_with_less_and_says_so():
    document = reported.long(columns=60, rows=5_000)
    made = html(document)
    assert len(made.encode()) <= MAX_BYTES
    assert "4,500 more rows are in the JSON of this report." in made
    wide = Table("Wide", [Column(f"c{n}") for n in range(60)], [["y" * 190] * 60] * 400)
    section = Section("s", tables=[wide])
    large = html(_with(section, *reported.long().sections))
    assert len(large.encode()) <= MAX_BYTES
    assert "more rows are in the JSON" in large


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


def test_numbers_that_are_none_are_not_shown_as_nothing():
    table = Table(
        "t",
        [Column("a"), Column("n", "number", bar=True), Column("p", "percent")],
        [["x", float("nan"), 0.0001], ["y", float("inf"), float("nan")], ["", None, None]],
    )
    page = Page(html(_with(Section("s", tables=[table]))))
    for said in ("NaN", "∞", "< 0.1 %", "–", "(empty)"):
        assert said in page.texts


def test_the_same_document_gives_the_same_page():
    assert html(reported.hostile()) == html(reported.hostile())
