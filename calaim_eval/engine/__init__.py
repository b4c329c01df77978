"""Opening DuckDB as an Ibis backend, member buckets and progress; the one room that knows it."""

from calaim_eval.engine.buckets import bucket_count, bucket_of
from calaim_eval.engine.failures import engine_failures
from calaim_eval.engine.open import MEMORY_LIMIT_GB, open_engine
from calaim_eval.engine.progress import track
from calaim_eval.engine.recipe import Recipe, run_recipe
from calaim_eval.engine.write import atomic_file, atomic_folder, write_json, write_parquet

__all__ = [
    "MEMORY_LIMIT_GB",
    "Recipe",
    "atomic_file",
    "atomic_folder",
    "bucket_count",
    "bucket_of",
    "engine_failures",
    "open_engine",
    "run_recipe",
    "track",
    "write_json",
    "write_parquet",
]
