"""The documentation of what can be traced is made from the code."""

import inspect
import subprocess
import sys

from gradserve.client import functions
from gradserve.ir.op import Op
from gradserve.numpy.documentation import OF_FUNCTIONS, documentation, kink_conventions, supported_names
from gradserve.ops import OP_SET
from tests.test_layout import REPOSITORY


def test_the_committed_documentation_is_current():
    written = (REPOSITORY / "docs" / "NUMPY.md").read_text()
    assert written == documentation(), "run: python -m gradserve.numpy > docs/NUMPY.md"


def test_every_name_is_described():
    names, _, _ = documentation().partition("## Kinks")
    rows = [line for line in names.splitlines() if line.startswith("| `")]
    described = {row.split("`")[1].partition("(")[0] for row in rows}
    assert set(supported_names()) <= described
    assert all(row.split(" | ")[1].rstrip(" |").endswith((".", ":")) for row in rows)


def test_every_function_of_ours_is_described():
    assert all(f"`gradserve.client.functions.{name}(" in documentation() for name in functions.__all__)


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


def test_functions_of_functions_are_described_as_they_are():
    """The client has them; what is said below it of their arguments and results is what they say themselves."""
    for call, gives in OF_FUNCTIONS.items():
        name, _, arguments = call.partition("(")
        function = getattr(functions, name)
        bare = [
            parameter.replace(annotation=parameter.empty)
            for parameter in inspect.signature(function).parameters.values()
        ]
        assert f"({arguments}" == str(inspect.Signature(bare))
        assert str(inspect.getdoc(function)).split("\n\n")[0] == gives


def test_the_command_prints_it():
    command = [sys.executable, "-m", "gradserve.numpy"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == documentation()
