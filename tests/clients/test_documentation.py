"""The documentation of what can be traced is made from the code."""

import subprocess
import sys

from gradserve.client.numpy_surface import supported_names
from gradserve.client.numpy_surface.documentation import documentation, kink_conventions
from gradserve.ir.op import Op
from gradserve.ops import OP_SET
from tests.test_layout import REPOSITORY


def test_the_committed_documentation_is_current():
    written = (REPOSITORY / "docs" / "NUMPY.md").read_text()
    assert written == documentation(), "run: python -m gradserve.client.numpy_surface > docs/NUMPY.md"


def test_every_name_is_described():
    names, _, _ = documentation().partition("## Kinks")
    rows = [line for line in names.splitlines() if line.startswith("| `")]
    described = {row.split("`")[1].partition("(")[0] for row in rows}
    assert set(supported_names()) <= described
    assert all(row.split(" | ")[1].rstrip(" |").endswith((".", ":")) for row in rows)


def test_every_convention_is_described():
    """By where the op has no derivative, and by what is taken there."""
    conventions = kink_conventions()
    assert {name for ops in conventions.values() for name in ops} == {
        f"`{op.name}`" for op in OP_SET if op.kink is not Op.kink
    }
    for convention in conventions:
        where, *taken = convention.split(". ")
        assert where.startswith("Where ")
        assert taken


def test_the_command_prints_it():
    command = [sys.executable, "-m", "gradserve.client.numpy_surface"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == documentation()
