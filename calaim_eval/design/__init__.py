"""Index dates, cohorts, comparison groups and identification checks: panel in, `Design` out."""
