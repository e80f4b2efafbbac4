"""Write the generated parts of the docs, or, with --check, say which are out of date.

A generated part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`. Its one
source is the code; what surrounds it is written by hand. Run it as `python -m tools.docs`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from finalstop.cli import cli_markdown
from finalstop.gateway.config import configuration_markdown
from finalstop.simulator import catalogue_markdown
from tools.compare_page import compared_markdown, compared_terms_markdown
from tools.endings_page import (
    endings_excerpt_markdown,
    endings_markdown,
    last_bytes_markdown,
    wellformed_markdown,
)
from tools.endpoints_page import healthy_markdown, sick_markdown, versions_markdown
from tools.findings_page import (
    dialects_markdown,
    findings_index_markdown,
    findings_markdown,
    remedies_markdown,
)
from tools.lifecycle_page import lifecycle_markdown
from tools.performance_page import (
    PERFORMANCE,
    goals_markdown,
    measured_markdown,
    plots,
    profile_markdown,
)
from tools.proof_page import bugs_markdown, proof_markdown
from tools.stacks_page import stacks_markdown

ROOT: Final = Path(__file__).resolve().parent.parent

Part = tuple[str, str, Callable[[], str]]

PARTS: Final[tuple[Part, ...]] = (
    ("README.md", "endings-excerpt", endings_excerpt_markdown),
    ("docs/reference/endings.md", "endings", endings_markdown),
    ("docs/reference/endings.md", "last-bytes", last_bytes_markdown),
    ("docs/reference/lifecycle.md", "lifecycle", lifecycle_markdown),
    ("docs/reference/lifecycle.md", "well-formed", wellformed_markdown),
    ("docs/reference/configuration.md", "configuration", configuration_markdown),
    ("docs/reference/cli.md", "cli", cli_markdown),
    ("docs/reference/servers.md", "stacks", stacks_markdown),
    ("docs/reference/simulator.md", "simulator-catalogue", catalogue_markdown),
    ("docs/reference/findings.md", "findings-index", findings_index_markdown),
    ("docs/reference/findings.md", "dialects", dialects_markdown),
    ("docs/reference/findings.md", "remedies", remedies_markdown),
    ("docs/reference/findings.md", "findings", findings_markdown),
    ("docs/reference/examined.md", "sick-endpoints", sick_markdown),
    ("docs/reference/examined.md", "healthy-endpoints", healthy_markdown),
    ("docs/reference/examined.md", "endpoint-versions", versions_markdown),
    ("docs/reference/compared.md", "compared", compared_markdown),
    ("docs/reference/compared.md", "compared-terms", compared_terms_markdown),
    ("docs/topics/how-we-know.md", "proof-bugs", bugs_markdown),
    ("docs/topics/how-we-know.md", "proof", proof_markdown),
    (PERFORMANCE, "goals", goals_markdown),
    (PERFORMANCE, "measured", measured_markdown),
    (PERFORMANCE, "profile", profile_markdown),
)


def with_part(page: str, name: str, text: str) -> str:
    """The page with its part `name` replaced by `text`.

    Raises:
        ValueError: the page has no such part.
    """
    opening, closing = f"<!-- generated: {name} -->\n", "<!-- /generated -->"
    start = page.find(opening)
    if start < 0:
        raise ValueError(f"no part {name!r}")
    end = page.index(closing, start)
    return f"{page[:start]}{opening}{text.strip()}\n{page[end:]}"


def stale() -> list[str]:
    """The parts that do not say what the code says."""
    parts = [
        f"{file}: {name}"
        for file, name, make in PARTS
        if (page := (ROOT / file).read_text()) != with_part(page, name, make())
    ]
    return parts + [
        file
        for file, text in plots().items()
        if not (path := ROOT / file).is_file() or path.read_text() != text
    ]


def write() -> None:
    """Bring every part up to date."""
    for file, name, make in PARTS:
        path = ROOT / file
        path.write_text(with_part(path.read_text(), name, make()))
    for file, text in plots().items():
        (ROOT / file).parent.mkdir(exist_ok=True)
        (ROOT / file).write_text(text)


def main() -> int:
    """Write, or check."""
    if "--check" not in sys.argv[1:]:
        write()
        return 0
    old = stale()
    for part in old:
        print(f"out of date: {part} (make docs writes it anew)")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
