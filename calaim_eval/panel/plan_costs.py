"""Measured costs of reading and building, with machine and date: `plan_costs.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def _read_costs() -> tuple[dict[str, str], ...]:
    """Rows of the measured costs."""
    path = files("calaim_eval.panel") / "plan_costs.csv"
    with path.open("r", encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


def measured_costs() -> Mapping[str, float]:
    """Measured costs by name."""
    return {row["cost"]: float(row["value"]) for row in _read_costs()}


def costs_note() -> str:
    """Machine and date of the measured costs."""
    (row,) = (row for row in _read_costs() if row["cost"] == "calibration_cpu_s")
    return row["source"]


def reading_cpu_s(n_lines: int) -> float:
    """CPU seconds of reading and checking so many claim lines."""
    return n_lines * measured_costs()["reading_us_per_line"] / 1e6


def counting_cpu_s(n_lines: int) -> float:
    """CPU seconds of counting care of so many claim lines."""
    return n_lines * measured_costs()["counting_us_per_line"] / 1e6


def panel_cpu_s(n_lines: int, member_months: float, n_measures: int, n_buckets: int) -> float:
    """CPU seconds of a panel from what was counted."""
    costs = measured_costs()
    return (
        (
            n_lines * costs["panel_us_per_line"]
            + member_months * costs["panel_us_per_member_month"]
            + member_months * n_measures * costs["panel_us_per_member_month_and_measure"]
        )
        / 1e6
        + n_buckets * costs["panel_s_per_bucket"]
        + costs["panel_start_s"]
    )


def panel_from_claims_cpu_s(
    n_lines: int, member_months: float, n_measures: int, n_buckets: int
) -> float:
    """CPU seconds of a panel where nothing was counted, by the engine of one machine."""
    settling_s = n_lines * measured_costs()["panel_us_per_line_not_counted"] / 1e6
    return settling_s + panel_cpu_s(n_lines, member_months, n_measures, n_buckets)


def reading_peak_gb(n_lines: int, memory_limit_gb: float) -> float:
    """Largest memory of a reading: what Python holds, the engine up to its limit, and its files."""
    costs = measured_costs()
    engine = costs["reading_gb_per_million_lines"] * n_lines / 1e6
    more = costs["reading_gb_more_per_million_lines"] * n_lines / 1e6
    return costs["base_gb"] + min(memory_limit_gb, engine) + more


def reading_scratch_gb(n_lines: int, tables_gb: float) -> float:
    """Disk that a reading gives back at its end: staged rows, and rows on their way there."""
    costs = measured_costs()
    held = n_lines * costs["scratch_bytes_per_line"] / 1024**3
    return tables_gb * costs["scratch_share"] + min(costs["scratch_most_gb"], held)


def panel_peak_gb(n_lines: int, n_buckets: int, memory_limit_gb: float) -> float:
    """Largest memory of counting care and of the panel: that of one bucket."""
    costs = measured_costs()
    engine = costs["engine_gb_per_million_lines"] * n_lines / n_buckets / 1e6
    return costs["base_gb"] + min(memory_limit_gb, engine)


def spark_peak_gb(memory_limit_gb: float) -> float:
    """Largest memory of a panel on a local Spark session: its whole heap, and Python."""
    return measured_costs()["base_gb"] + memory_limit_gb
