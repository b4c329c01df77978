"""What happened, and when, where several endings compete."""
