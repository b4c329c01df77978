"""The study file: read, validated, hashed."""
