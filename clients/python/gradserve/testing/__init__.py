"""What tests of gradients need: `assert_gradient`, as a function and as a fixture of pytest."""

from gradserve.testing.gradients import assert_gradient

__all__ = ["assert_gradient"]
