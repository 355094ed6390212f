"""The way of every job: a program, its limits, its chunks, where they run and how their results are put together."""
