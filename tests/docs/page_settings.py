"""The configurations that documents show, as tests run them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.docs import pages


def library_settings() -> dict[str, Any]:
    """That of ``docs/media-libraries.md``, without the folder, which a test has its own of."""
    block = next(
        each for each in pages.read("docs/media-libraries.md").blocks if each.language == "yaml"
    )
    tree: dict[str, Any] = yaml.safe_load(block.text)
    assert tree.pop("shared_directory") == "/srv/media"
    return tree
