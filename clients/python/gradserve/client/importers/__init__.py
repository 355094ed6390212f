"""Graphs that come from elsewhere than traced code."""
