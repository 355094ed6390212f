"""Handlers of the services: decode, job, encode."""
