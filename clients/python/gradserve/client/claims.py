"""What may be claimed of a function, by name."""

from typing import Literal, TypeAlias

from gradserve.questions.claimed import Claimed

Target: TypeAlias = Literal["gradient", "jvp", "hvp", "jacobian", "diagonal"]
TARGETS = tuple(str(each) for each in Claimed)
"""The derivatives that may be claimed."""
OUTPUT = "value"
"""What the function's value is called where it is an array."""
