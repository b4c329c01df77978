"""Cell moments: reduce a panel once, estimate many times."""
