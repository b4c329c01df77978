"""Opening DuckDB as an Ibis backend, member buckets and progress; the one room that knows it."""
