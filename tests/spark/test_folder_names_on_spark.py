"""Spark reads and writes where a folder has blanks, letters of any script, brackets or braces."""

import pandas as pd
import pyarrow.parquet as pq

from calaim_eval.engine import Recipe
from calaim_eval.engine.run_on_spark import run_on_spark
from calaim_eval.engine.spark import open_spark


def test_folders_may_have_any_name(spark, tmp_path):
    folder = tmp_path / "Ü [1] {a} 100%"
    for name, number in (("own", 1), ("o[w]n", 2)):
        (folder / name).mkdir(parents=True)
        frame = pd.DataFrame({"member_id": ["a"], "n": [number]})
        frame.to_parquet(folder / name / "part-0000.parquet")
    recipe = Recipe()
    rows = recipe.source("rows", {"member_id": "string", "n": "int64"})
    held = recipe.keep("held", rows.mutate(n=rows["n"] * 10))
    recipe.write("out", held, order_by=["member_id"])
    recipe.fetch("total", held.agg(n=held["n"].sum()))
    with open_spark(temp_folder=tmp_path) as backend:
        fetched = run_on_spark(
            recipe,
            backend,
            sources={"rows": [folder / "o[w]n" / "part-0000.parquet"]},
            outputs={"out": folder / "out [2]"},
            part_of=("member_id", ["rows"]),
            n_parts=1,
            held_folder=folder / ".spill" / "held",
        )
    assert fetched["total"]["n"].tolist() == [20]
    written = pq.read_table(folder / "out [2]" / "part-0000.parquet").to_pydict()
    assert written == {"member_id": ["a"], "n": [20]}
