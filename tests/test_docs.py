"""The documents: every relative link leads somewhere, to the file and to the heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors import ROOT

NOT_OURS = {".git", ".venv", "node_modules"}
FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2[`~]*\s*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
# [text](target "title"), ![picture](target), and [name]: target
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


def documents() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*.md"))
        if not NOT_OURS.intersection(path.relative_to(ROOT).parts)
    ]


def prose_of(markdown: str) -> str:
    """The document without its code, where brackets mean something else."""
    return INLINE_CODE.sub("", FENCE.sub("", markdown))


def links_of(markdown: str) -> list[str]:
    return [inline or reference for inline, reference in LINK.findall(prose_of(markdown))]


def anchors_of(markdown: str) -> set[str]:
    """What may follow the `#`: the headings as GitHub spells them, and each <a id>."""
    text = FENCE.sub("", markdown)
    anchors: set[str] = set(ANCHOR.findall(text))
    for heading in HEADING.findall(text):
        slug = re.sub(r"[^\w\- ]", "", _plain(heading).lower()).replace(" ", "-")
        repeats = sum(1 for it in anchors if re.fullmatch(re.escape(slug) + r"(-\d+)?", it))
        anchors.add(f"{slug}-{repeats}" if slug in anchors else slug)
    return anchors


def _plain(heading: str) -> str:
    """A heading as it is read: links by their text."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)


def anchors_in(target: Path) -> set[str]:
    return anchors_of(target.read_text("utf-8")) if target.suffix == ".md" else set()


def dead_links(document: Path) -> Iterator[str]:
    for link in links_of(document.read_text("utf-8")):
        if ELSEWHERE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        if not target.exists():
            yield f"{document.name}: {link}: no such file"
        elif anchor and anchor not in anchors_in(target):
            yield f"{document.name}: {link}: no such heading"


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document):
    complaints = list(dead_links(document))
    assert not complaints, "\n".join(complaints)


PAGE = """
# One page, `two` words
## Again
## Again
[a](other.md) ![b](pictures/x.svg "title") [c](#again-1) [d](other.md#there)
[e](https://example.com/nothing.md) [f](mailto:x@example.com) [g][ref]
`[h](code.md)` and
```
[i](fenced.md)
```
[ref]: missing.md
[j](other.md#nowhere) [k](#one-page-two-words) [l](../up.md) [m](#absent)
"""


def test_a_dead_link_is_seen_and_a_live_one_is_not(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "x.svg").touch()
    (tmp_path / "other.md").write_text("# There\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    assert sorted(dead_links(page)) == [
        "page.md: #absent: no such heading",
        "page.md: ../up.md: no such file",
        "page.md: missing.md: no such file",
        "page.md: other.md#nowhere: no such heading",
    ]
