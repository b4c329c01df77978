"""Effects on counts and amounts under the log link."""
