"""One session with a service."""
