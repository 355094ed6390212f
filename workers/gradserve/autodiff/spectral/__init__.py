"""Losses through eigenvalues, singular values and their vectors, made fit to be differentiated.

To be read in this order: `expressions` (functions of one eigenvalue), `algebras` (the same functions of the matrix),
`forms` (values made of eigenvalues and eigenvectors), `known` and `rules` (what each op makes of a form), `sums` (where
the choice of eigenvectors falls away), `invariant` (the graph built anew).
"""

from gradserve.autodiff.spectral.invariant import invariant

__all__ = ["invariant"]
