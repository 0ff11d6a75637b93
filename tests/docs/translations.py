"""Keeps the Russian documents in step with the English ones.

Each section of a Russian page says which English text it was made from, in a comment that no
reader sees: ``<!-- en: 1a2b3c4d -->``, right after its heading. Once a section has changed here,
change it there; then ``python -m tests.docs.translations`` writes the new marks.
"""

from __future__ import annotations

import re
import sys

from tests.docs import pages

#: English pages and their Russian ones.
RUSSIAN = {
    "README.md": "README.ru.md",
    "docs/guide.md": "docs/ru/guide.md",
    "docs/cluster.md": "docs/ru/cluster.md",
    "docs/handover.md": "docs/ru/handover.md",
    "docs/media-libraries.md": "docs/ru/media-libraries.md",
    "docs/summaries.md": "docs/ru/summaries.md",
}
MARK = re.compile(r"en: ([0-9a-f]{8})")


def mark_of(section: pages.Section) -> str | None:
    """The digest of the English text that this Russian section says it is made from."""
    marks = [found.group(1) for text in section.comments if (found := MARK.fullmatch(text))]
    return marks[0] if len(marks) == 1 else None


def write_marks(english: str, russian: str) -> list[str]:
    """Mark every section as up to date; returns the titles of those that were not."""
    theirs = pages.read(english).sections
    ours = pages.read(russian).sections
    if len(theirs) != len(ours):
        raise SystemExit(f"{english} has {len(theirs)} headings and {russian} {len(ours)}")
    stale = [s.title for s, t in zip(ours, theirs, strict=True) if mark_of(s) != t.digest]
    path = pages.PROJECT / russian
    lines = path.read_text("utf-8").splitlines()
    # From the last one up, so that the lines above keep their numbers.
    for section, english_section in reversed(list(zip(ours, theirs, strict=True))):
        after = section.line  # the line below the heading, counted from 0
        if lines[after : after + 1] and MARK.search(lines[after]):
            del lines[after]
        lines.insert(after, f"<!-- en: {english_section.digest} -->")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return stale


if __name__ == "__main__":
    for one, other in RUSSIAN.items():
        for title in write_marks(one, other):
            print(f"{other}: now said to be up to date: {title}", file=sys.stderr)
