"""docs/IMPORTERS.md is what the importers say of themselves."""

from __future__ import annotations

from pathlib import Path

from gradserve.client.importers.documentation import documentation

REPOSITORY = Path(__file__).parents[3]


def test_the_documentation_is_that_of_the_tables():
    written = (REPOSITORY / "docs" / "IMPORTERS.md").read_text()
    assert written == documentation(), "run: python -m gradserve.client.importers > docs/IMPORTERS.md"
