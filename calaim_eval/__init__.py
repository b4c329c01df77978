"""Evaluate CalAIM: panels, effects, equity, CBO integration and safe quarterly reports."""

__version__ = "0.1.0"
