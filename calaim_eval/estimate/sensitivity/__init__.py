"""What else could explain an effect: other trends, false dates, outcomes out of reach."""
