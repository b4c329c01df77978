"""Member months, stays, visits and measures from checked tables."""
