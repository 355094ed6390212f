"""What is found from products with a matrix: traces, diagonals, spectra, solutions; and gradients from values."""
