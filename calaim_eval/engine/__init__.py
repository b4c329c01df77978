"""Opening DuckDB as an Ibis backend, member buckets and progress; nothing else knows which engine runs."""
