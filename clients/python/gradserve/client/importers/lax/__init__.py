"""The semantics of XLA's operations on values, each told once, for jaxprs and for StableHLO alike."""
