"""Small rate and effect tables for the disclosure tests, drawn by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.results import ALL, EffectTable, Estimand, Method, RateTable


def read_ascii(text: str) -> pd.DataFrame:
    """Frame of an ASCII table; an empty cell is empty text."""
    lines = [line.strip() for line in text.strip().splitlines() if set(line.strip()) - set("-+|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return pd.DataFrame(cells[1:], columns=cells[0])


def rate_table(
    keys: pd.DataFrame,
    numerator: object,
    denominator: object = None,
    *,
    n_members: object = None,
    kind: str = "count",
    names: tuple[str, str] = ("members", "none"),
    **options: object,
) -> RateTable:
    """A rate table; by default each counted event is a member."""
    k = len(keys)
    counted = np.asarray(numerator, dtype=float)
    nan = np.full(k, np.nan)
    return RateTable(
        measure="made up",
        keys=keys.reset_index(drop=True),
        numerator=counted,
        denominator=nan if denominator is None else np.asarray(denominator, dtype=float),
        conf_low=np.full(k, 0.1),
        conf_high=np.full(k, 0.9),
        n_members=counted if n_members is None else np.asarray(n_members, dtype=float),
        numerator_name=names[0],
        denominator_name=names[1],
        unit="members",
        kind=kind,  # type: ignore[arg-type]
        method=Method("count"),
        **options,  # type: ignore[arg-type]
    )


def two_way(
    inner: object,
    *,
    rows: tuple[str, ...] = ("aian", "black", "white", "unknown"),
    columns: tuple[str, ...] = ("Alpine", "Fresno", "Kern", "Yolo"),
) -> tuple[np.ndarray, RateTable]:
    """Race by county with both margins: the counts, and the table."""
    cells = np.asarray(inner)
    m, n = cells.shape
    wide = np.hstack([cells, cells.sum(axis=1, keepdims=True)])
    table = np.vstack([wide, wide.sum(axis=0, keepdims=True)])
    keys = pd.DataFrame(
        [{"race_ethnicity": r, "county": c} for r in [*rows[:m], ALL] for c in [*columns[:n], ALL]]
    )
    return table, rate_table(keys, table.ravel(), margins=("race_ethnicity", "county"))


def effect_table(
    keys: pd.DataFrame, n_members: object, n_events: object = None, **options: object
) -> EffectTable:
    """Estimates 1, 2, 3 ... with standard error 1."""
    k = len(keys)
    members = np.asarray(n_members, dtype=float)
    return EffectTable(
        keys=keys.reset_index(drop=True),
        estimate=np.arange(1.0, k + 1),
        covariance=np.eye(k),
        support=pd.DataFrame(
            {
                "n_members": members,
                "n_events": members * 3 if n_events is None else np.asarray(n_events, dtype=float),
                "member_months": members * 12,
            }
        ),
        estimand=Estimand("ATT", "exposed minus comparison", "visits per 1,000 member-months"),
        method=Method("difference-in-differences"),
        **options,  # type: ignore[arg-type]
    )
