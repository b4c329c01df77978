"""Synthetic difference-in-differences by county."""
