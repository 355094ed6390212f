"""The transforms of ops that call functions, made of the same transforms of the functions."""

from gradserve.autodiff.control import cond, expansion, once, scan  # noqa: F401  (importing a module registers its rules)
