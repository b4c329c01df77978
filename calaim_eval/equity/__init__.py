"""Rates by group, access funnel, and gaps between groups."""
