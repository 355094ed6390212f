"""Jobs: one module per kind of request. Each derives, plans, cuts into chunks, runs them on a pool and gathers."""
