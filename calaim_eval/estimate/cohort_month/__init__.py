"""Effects by cohort and month (group-time ATT) and their averages."""
