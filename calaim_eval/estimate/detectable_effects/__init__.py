"""What could be detected, before anything is estimated."""
