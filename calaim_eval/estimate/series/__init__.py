"""Interrupted time series."""
