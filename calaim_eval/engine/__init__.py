"""Opening DuckDB as an Ibis backend, member buckets and progress; the one room that knows it."""

from calaim_eval.engine.buckets import bucket_count, bucket_of
from calaim_eval.engine.failures import engine_failures
from calaim_eval.engine.open import open_engine
from calaim_eval.engine.progress import track
from calaim_eval.engine.recipe import Recipe
from calaim_eval.engine.write import atomic_file, atomic_folder, write_json, write_parquet

__all__ = [
    "Recipe",
    "atomic_file",
    "atomic_folder",
    "bucket_count",
    "bucket_of",
    "engine_failures",
    "open_engine",
    "track",
    "write_json",
    "write_parquet",
]
