"""What a member month costs, against the floor: reading the columns and writing the panel.

    python benchmarks/panel_scale.py [--members 1000000 ...] [--lines-per-member 60] [--folder DIR]

Simulates each number of members over 48 months, reads the files into checked tables, counts care
once, builds the panel from that, and measures the floor, each in a process of its own. The floor
is the CPU of scanning the claim columns that the panel needs and of encoding the finished panel to
parquet, by DuckDB or by pyarrow, whichever takes less; no engine can do without either. With
several sizes the slope is extended to 14 million members.

The simulator writes about 41 medical claim lines a member. `--lines-per-member` adds lines by
repeating a share of each claim's lines under new line numbers: visits and stays stay what they
were, dollars do not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from measured import Cost, measured, size_gb

SELF = Path(__file__).resolve()
WINDOW = {"first_month": "2021-01", "last_month": "2024-12"}
EXTRACT_DATE = "2025-06-30"
STATE_MEMBERS = 14_000_000
CORE = ("ed_visits", "inpatient_stays", "inpatient_days", "outpatient_visits", "paid_usd")
CLAIM_COLUMNS = (
    "member_id",
    "claim_id",
    "claim_type",
    "claim_status",
    "original_claim_id",
    "bill_type_code",
    "revenue_center_code",
    "hcpcs_code",
    "hcpcs_modifier_1",
    "place_of_service_code",
    "drg_code",
    "diagnosis_code_1",
    "discharge_disposition_code",
    "facility_npi",
    "rendering_npi",
    "claim_start_date",
    "claim_end_date",
    "claim_line_start_date",
    "admission_date",
    "discharge_date",
    "paid_date",
    "paid_amount",
)
"""Columns of `medical_claim` that every panel needs."""


def main() -> None:
    options = _options()
    if options.do:
        STEPS[options.do](options.folder, options)
        return
    header = (
        "| members | claim lines | member-months | step | CPU s | to the floor | us a member-month "
        "| peak GB | wall s | load |"
    )
    print(header)
    print("|" + "---|" * 10)
    points = [_size(members, options) for members in options.members]
    if len(points) > 1:
        _say_state(points)


def _options() -> argparse.Namespace:
    from calaim_eval.engine import MEMORY_LIMIT_GB

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--members", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--lines-per-member", type=float, default=60.0)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "calaim_panel_scale"
    )
    parser.add_argument("--memory-limit-gb", type=float, default=MEMORY_LIMIT_GB)
    parser.add_argument("--core", action="store_true", help="also a panel of five measures")
    parser.add_argument("--keep", action="store_true", help="keep the files of each size")
    parser.add_argument("--do", choices=STEPS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _size(members: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure one size; print its rows."""
    folder = options.folder / str(members)

    def run(step: str) -> Cost:
        return measured(
            SELF,
            *("--do", step, "--folder", str(folder), "--members", str(members)),
            *("--lines-per-member", str(options.lines_per_member)),
            *("--memory-limit-gb", str(options.memory_limit_gb)),
        )

    costs: dict[str, Cost] = {}
    if not (folder / "raw").is_dir():
        costs["simulate"] = run("simulate")
    shutil.rmtree(folder / "tables", ignore_errors=True)
    raw_gb = size_gb(folder / "raw")
    costs["read"] = run("read")
    costs["count"] = run("count")
    if not options.keep:
        shutil.rmtree(folder / "raw")
    for step in ("panel", "core") if options.core else ("panel",):
        shutil.rmtree(folder / step, ignore_errors=True)
        costs[step] = run(step)
    run("floor")
    floor = json.loads((folder / "floor.json").read_text())
    floor_s = floor["scan_s"] + floor["encode_s"]
    n_months = floor["member_months"]
    for step, cost in costs.items():
        print(
            f"| {members:,} | {floor['claim_lines']:,} | {n_months:,} | {step} | {cost.cpu_s:.0f} "
            f"| {cost.cpu_s / floor_s:.2f} | {cost.cpu_s / n_months * 1e6:.2f} "
            f"| {cost.peak_gb:.2f} | {cost.wall_s:.0f} | {cost.load:.1f} |",
            flush=True,
        )
    print(
        f"\n{members:,} members: floor {floor_s:.1f} CPU s (scan {floor['scan_s']:.1f} by "
        f"{floor['scan_by']}, encode {floor['encode_s']:.1f} by {floor['encode_by']}); disk GB: "
        f"raw {raw_gb:.2f}, tables {floor['tables_gb']:.2f}, panel {floor['panel_gb']:.2f}\n",
        flush=True,
    )
    if not options.keep:
        shutil.rmtree(folder)
    return {
        "members": members,
        "n_months": n_months,
        "read_s": costs["read"].cpu_s + costs["count"].cpu_s,
        "panel_s": costs["panel"].cpu_s,
        "disk_gb": floor["tables_gb"] + floor["panel_gb"],
        "raw_gb": raw_gb,
    }


def _say_state(points: list[dict[str, float]]) -> None:
    """Extend the slope between the smallest and the largest size to the state."""
    small, large = points[0], points[-1]
    more = STATE_MEMBERS - large["members"]
    told = {}
    for name in ("read_s", "panel_s", "disk_gb", "raw_gb", "n_months"):
        slope = (large[name] - small[name]) / (large["members"] - small["members"])
        told[name] = large[name] + slope * more
    print(
        f"Extended, not measured: {STATE_MEMBERS:,} members, {told['n_months'] / 1e6:.0f} million "
        f"member-months: reading and counting {told['read_s'] / 3600:.1f} CPU hours, panel "
        f"{told['panel_s'] / 3600:.1f} CPU hours; disk {told['disk_gb']:.0f} GB for tables and "
        f"panel beside {told['raw_gb']:.0f} GB of raw files."
    )


def simulate(folder: Path, options: argparse.Namespace) -> None:
    """Raw files, with lines added."""
    from calaim_eval.simulate import simulate_medi_cal

    (members,) = options.members
    simulate_medi_cal(folder, members=members)
    parts = sorted((folder / "raw" / "medical_claim").glob("*.parquet"))
    add_lines(parts, wanted=round(options.lines_per_member * members))


def add_lines(parts: Iterable[Path], *, wanted: int) -> None:
    """Repeat a share of the lines, evenly, under new line numbers."""
    import duckdb

    parts = list(parts)
    files = [str(part) for part in parts]
    with duckdb.connect(config={"memory_limit": "2GB"}) as connection:
        (has,) = connection.execute("SELECT count(*) FROM read_parquet(?)", [files]).fetchone()
        share = max(0.0, wanted / has - 1)
        for part in parts:
            more = part.with_suffix(".more")
            # Copy 1, 2, ... of every line, and one copy more of a share of them.
            connection.execute(
                f"""COPY (
                    SELECT * EXCLUDE copy
                           REPLACE (claim_line_number + 1000 * copy AS claim_line_number)
                    FROM (SELECT *, unnest(range({int(share) + 2})) AS copy
                          FROM read_parquet('{part}'))
                    WHERE copy <= {int(share)}
                       OR hash(claim_id, claim_line_number) % 10000 < {share % 1 * 10000}
                ) TO '{more}' (FORMAT parquet, COMPRESSION zstd)"""
            )
            more.replace(part)


def read(folder: Path, options: argparse.Namespace) -> None:
    """Raw files to checked, bucketed tables."""
    from calaim_eval.tables import read_tables

    read_tables(
        folder / "raw",
        work_dir=folder / "tables",
        extract_date=EXTRACT_DATE,
        memory_limit_gb=options.memory_limit_gb,
    )


def count(folder: Path, options: argparse.Namespace) -> None:
    """Checked tables to care counted for every panel of the extract."""
    from calaim_eval.panel import count_care
    from calaim_eval.tables.read import open_tables

    count_care(open_tables(folder / "tables"), memory_limit_gb=options.memory_limit_gb)


def panel(folder: Path, options: argparse.Namespace) -> None:
    """Checked tables to the panel, every measure."""
    build(folder, "panel", None, options)


def core(folder: Path, options: argparse.Namespace) -> None:
    """Checked tables to a panel with the core measures only."""
    build(folder, "core", CORE, options)


def build(
    folder: Path, name: str, measures: tuple[str, ...] | None, options: argparse.Namespace
) -> None:
    """A panel in a folder of that name; from what was counted, where care has been."""
    from calaim_eval.panel import build_member_months
    from calaim_eval.tables.read import open_tables

    build_member_months(
        open_tables(folder / "tables"),
        **WINDOW,
        measures=measures,
        out_dir=folder / name,
        memory_limit_gb=options.memory_limit_gb,
    )


def floor(folder: Path, _options: argparse.Namespace) -> None:
    """CPU of scanning the claim columns and encoding the panel, by the cheaper of two libraries."""
    claims = sorted((folder / "tables" / "medical_claim").glob("*.parquet"))
    months = sorted((folder / "panel" / "member_month").glob("*.parquet"))
    scans = {"DuckDB": _scan_duckdb(claims), "pyarrow": _scan_arrow(claims)}
    encodings = {"DuckDB": _encode_duckdb(months, folder), "pyarrow": _encode_arrow(months, folder)}
    scan_by = min(scans, key=lambda name: scans[name])
    encode_by = min(encodings, key=lambda name: encodings[name])
    held = {
        "scan_s": scans[scan_by],
        "scan_by": scan_by,
        "encode_s": encodings[encode_by],
        "encode_by": encode_by,
        "claim_lines": _rows(claims),
        "member_months": _rows(months),
        "tables_gb": size_gb(folder / "tables"),
        "panel_gb": size_gb(folder / "panel"),
    }
    (folder / "floor.json").write_text(json.dumps(held))


def _rows(parts: Iterable[Path]) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(part).num_rows for part in parts)


def _scan_duckdb(parts: list[Path]) -> float:
    """CPU seconds of DuckDB for every value of the columns, part by part."""
    import duckdb

    # Handed over in batches: a largest value would be answered from the file's statistics.
    used = ", ".join(CLAIM_COLUMNS)
    started = time.process_time()
    with duckdb.connect() as connection:
        for part in parts:
            rows = connection.sql(f"SELECT {used} FROM read_parquet('{part}')")
            for _ in rows.to_arrow_reader(100_000):
                pass
    return time.process_time() - started


def _scan_arrow(parts: list[Path]) -> float:
    """CPU seconds of pyarrow for the same."""
    import pyarrow.parquet as pq

    started = time.process_time()
    for part in parts:
        for _ in pq.ParquetFile(part).iter_batches(columns=list(CLAIM_COLUMNS)):
            pass
    return time.process_time() - started


def _encode_duckdb(parts: list[Path], folder: Path) -> float:
    """CPU seconds of DuckDB for writing the panel's rows, which are in memory, to parquet."""
    import duckdb

    target = folder / "floor.parquet"
    spent = 0.0
    for part in parts:
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE rows AS FROM read_parquet('{part}')")
            started = time.process_time()
            connection.execute(f"COPY rows TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
            spent += time.process_time() - started
    target.unlink()
    return spent


def _encode_arrow(parts: list[Path], folder: Path) -> float:
    """CPU seconds of pyarrow for the same."""
    import pyarrow.parquet as pq

    target = folder / "floor.parquet"
    spent = 0.0
    for part in parts:
        rows = pq.read_table(part)
        started = time.process_time()
        pq.write_table(rows, target, compression="zstd")
        spent += time.process_time() - started
    target.unlink()
    return spent


STEPS = {
    "simulate": simulate,
    "read": read,
    "count": count,
    "panel": panel,
    "core": core,
    "floor": floor,
}


if __name__ == "__main__":
    main()
