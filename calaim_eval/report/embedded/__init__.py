"""Renders the `.qmd` files of this project where the Quarto program is not installed."""

from calaim_eval.report.embedded.engine import render_embedded

__all__ = ["render_embedded"]
