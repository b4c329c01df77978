"""The naive answer, what it is made of, and its alternatives."""
