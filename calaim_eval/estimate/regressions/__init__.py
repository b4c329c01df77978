"""Regressions on member-level data."""
