"""The one bilinear contraction."""

from gradserve.ops.contraction import contract
