"""The report as a page: one file, no script, everything foreign escaped."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalstop.doctor.chart import chart_of
from finalstop.doctor.findings import examine
from finalstop.doctor.observations import Case, Question
from finalstop.doctor.page import as_html
from finalstop.doctor.timeline import rows_of
from tests.doctor.exchanges import END, NEVER, A, asked, exchange, treated

EVIL = "<script>alert(1)</script><img src=x onerror='a'>\"'&"
OURS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "br", "pre", "code"),
    *("table", "tr", "td", "th", "div", "span", "ul", "li", "b", "article", "ins", "del"),
    *("svg", "line", "rect"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "class", "style", "id", "width", "height", "role"),
    *("aria-label", "x", "y", "x1", "x2", "y1", "y2", "fill", "stroke"),
}


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], set(), []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words.append(data)


def page_of(seen):
    return Page(as_html(seen, examine(seen)))


def evil_everywhere(evil):
    question = Question(
        "POST", f"http://h/{evil}", (("x-a", evil),), evil.encode("utf-8", "replace")
    )
    it = exchange(
        f"data: {evil}\n\n", A, END, f"{evil} tail", question=question, headers=(("server", evil),)
    )
    return asked(it, command=evil, sources={evil: "import express from 'express'"})


def test_whatever_is_foreign_is_text():
    page = page_of(evil_everywhere(EVIL))
    assert set(page.tags) <= OURS
    assert page.attributes <= ATTRIBUTES
    assert any("<script>alert(1)</script>" in it for it in page.words)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="<>&\"'/= scriptonx\x00\x1b\u2028\n", max_size=30))
def test_no_text_at_all_becomes_markup(evil):
    page = page_of(evil_everywhere(evil))
    assert set(page.tags) <= OURS
    assert page.attributes <= ATTRIBUTES


def test_it_loads_nothing_runs_nothing_and_knows_light_and_dark():
    text = as_html(treated(), ())
    assert "<script" not in text
    assert "http-equiv" not in text
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert "color-scheme: light dark" in text


def test_every_exchange_has_its_line_and_every_finding_its_article():
    seen = treated({Case.STALL: exchange(A, ending=NEVER)})
    page = page_of(seen)
    assert page.tags.count("svg") == len(rows_of(chart_of(seen)))
    assert page.tags.count("article") == len(examine(seen)) == 1
    assert "What is true of the popular advice" in "".join(page.words)
