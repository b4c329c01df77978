"""The panel's core measures against pandas and Polars: results first, then CPU and memory.

    python benchmarks/panel_against.py [--members 100000] [--folder DIR]

Needs Polars (`pip install polars`). All read the same checked tables and write member months with
the same five measures; the package also accounts for every row. It builds its panel twice: from the
claims (`core`), and from what was counted once an extract (`counted`; `count` is the counting, of
every measure). A difference in any value ends the benchmark.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from measured import measured
from panel_scale import CORE, WINDOW, build, core, count, read, simulate

SELF = Path(__file__).resolve()
KEY = ["member_id", "month"]
CENT = 0.005


def main() -> None:
    options = _options()
    if options.do:
        STEPS[options.do](options.folder, options)
        return
    for step in MADE:
        shutil.rmtree(options.folder / step, ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    costs = {}
    for step in STEPS:
        arguments = ["--members", str(options.members), "--folder", str(options.folder)]
        costs[step] = measured(SELF, "--do", step, *arguments)
    n_months = len(pd.read_parquet(options.folder / "pandas.parquet", columns=["month"]))
    print(f"{options.members:,} members, {n_months:,} member-months; all values are the same\n")
    print("| by | CPU s | us a member-month | to the package | peak GB | wall s | load |")
    print("|---|---|---|---|---|---|---|")
    for step, name in TOLD.items():
        cost = costs[step]
        print(
            f"| {name} | {cost.cpu_s:.1f} | {cost.cpu_s / n_months * 1e6:.2f} "
            f"| {cost.cpu_s / costs['core'].cpu_s:.2f} | {cost.peak_gb:.2f} | {cost.wall_s:.0f} "
            f"| {cost.load:.1f} |"
        )
    for step in MADE:
        shutil.rmtree(options.folder / step, ignore_errors=True)
    for name in ("pandas", "polars"):
        (options.folder / f"{name}.parquet").unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    from calaim_eval.engine import MEMORY_LIMIT_GB

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "calaim_panel_against"
    )
    parser.add_argument("--do", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.lines_per_member, options.memory_limit_gb = 60.0, MEMORY_LIMIT_GB
    return options


def _simulate(folder: Path, options: argparse.Namespace) -> None:
    options.members = [options.members]
    simulate(folder, options)


def _counted(folder: Path, options: argparse.Namespace) -> None:
    build(folder, "counted", CORE, options)


def _pandas(folder: Path, _options: argparse.Namespace) -> None:
    from panel_in_pandas import build

    frame = build(folder / "tables", WINDOW["first_month"], WINDOW["last_month"])
    frame.to_parquet(folder / "pandas.parquet", index=False, compression="zstd")


def _polars(folder: Path, _options: argparse.Namespace) -> None:
    from panel_in_polars import build

    frame = build(folder / "tables", WINDOW["first_month"], WINDOW["last_month"])
    frame.write_parquet(folder / "polars.parquet", compression="zstd")


def _compare(folder: Path, _options: argparse.Namespace) -> None:
    """End unless all have the same months and the same values."""
    ours = _months_of(folder / "core")
    others = {
        "counted": _months_of(folder / "counted"),
        **{
            name: pd.read_parquet(folder / f"{name}.parquet").sort_values(KEY, ignore_index=True)
            for name in ("pandas", "polars")
        },
    }
    for name, theirs in others.items():
        if len(ours) != len(theirs) or not (ours[KEY] == theirs[KEY]).all(axis=None):
            raise SystemExit(f"{name}: other member months ({len(theirs):,}; ours {len(ours):,})")
        for measure in CORE:
            n_other = int(((ours[measure] - theirs[measure]).abs() >= CENT).sum())
            if n_other or theirs[measure].isna().any() or ours[measure].isna().any():
                raise SystemExit(f"{name}: {n_other:,} values of {measure} differ")


def _months_of(folder: Path) -> pd.DataFrame:
    """Months and values of a panel of the package, months as numbers."""
    from calaim_eval.panel import MemberMonths

    rows = MemberMonths.open(folder).to_frame([*KEY, *CORE])
    rows["month"] = rows["month"].dt.year * 12 + rows["month"].dt.month - 1
    return rows.sort_values(KEY, ignore_index=True)


# The package's panel from the claims comes before anything is counted.
BUILDERS = {"core": core, "counted": _counted, "pandas": _pandas, "polars": _polars}
TOLD = {
    "core": "the package, from the claims",
    "count": "counting care, once an extract",
    "counted": "the package, from what was counted",
    "pandas": "pandas",
    "polars": "Polars",
}
MADE = ("raw", "truth", "tables", *BUILDERS)
STEPS = {
    "simulate": _simulate,
    "read": read,
    "core": core,
    "count": count,
    **BUILDERS,
    "compare": _compare,
}


if __name__ == "__main__":
    main()
