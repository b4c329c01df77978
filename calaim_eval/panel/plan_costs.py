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
