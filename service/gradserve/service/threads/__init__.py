"""By which threads calls are worked on."""
