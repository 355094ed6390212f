"""The fused executor: what lies between factorisations as machine code, whole loops included."""
