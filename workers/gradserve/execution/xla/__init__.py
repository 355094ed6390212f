"""The executor that compiles programs by XLA, through JAX: the extra `jax`."""
