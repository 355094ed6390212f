"""Values and derivatives: gradients, products, matrices, limits at kinks, Taylor models, what is inside."""
