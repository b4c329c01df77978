"""Effects from cell moments, one method a file."""
