"""Who is worked on, who waits, in what order, and who is turned away."""
