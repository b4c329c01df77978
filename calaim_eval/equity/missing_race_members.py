"""Members by what they have, for every recorded group and for those without one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.equity.assignment_bounds import MemberPatterns
from calaim_eval.equity.member_month_blocks import Counter, blocks
from calaim_eval.errors import EstimationError
from calaim_eval.panel import MemberMonths
from calaim_eval.results import ALL, RateTable


def missing_groups(names: Sequence[str], missing: Sequence[str] | str) -> list[str]:
    """The groups that stand for "no group recorded"; EstimationError where there is none."""
    asked = [missing] if isinstance(missing, str) else list(missing)
    found = [name for name in asked if name in names]
    if not found:
        raise EstimationError(
            f"`missing` names {', '.join(f'`{m}`' for m in asked) or 'nothing'}; the groups: "
            f"{', '.join(f'`{n}`' for n in names)}.\n  Name the groups that stand for members "
            "without a recorded group; with none there is nothing to bound or impute."
        )
    return found


def patterns_of_rates(table: RateTable, *, stratum: str) -> dict[str, MemberPatterns]:
    """Members with and without, by group, from a table of proportions."""
    if table.kind != "proportion" or list(table.keys.columns) != [stratum]:
        raise EstimationError(
            f"`{table.measure}`: bounds from a table need a proportion with the one key "
            f"`{stratum}`; this is a {table.kind} by {', '.join(map(str, table.keys.columns))}.\n"
            "  For events over member-months give the member-months themselves with `outcome`: "
            "who has how many events decides how far the rate can move."
        )
    rows = table.select(table.keys[stratum].astype(str) != ALL)
    return {
        str(name): MemberPatterns(np.array([1.0, 0.0]), np.ones(2), np.array([x, n - x]))
        for name, x, n in zip(rows.keys[stratum], rows.numerator, rows.denominator, strict=True)
    }


def patterns_of_months(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    stratum: str,
    months: tuple[str, str] | None,
) -> tuple[dict[str, MemberPatterns], int]:
    """Members by events and months, by group; and member-months whose outcome is missing."""
    counter = Counter()
    pieces = []
    for block in blocks(source, outcome=outcome, by=[stratum], months=months, counter=counter):
        rows = block[[stratum, "member_id"]].assign(y=block[outcome].astype(float))
        each = rows.groupby([stratum, "member_id"])["y"].agg(["sum", "size"])
        _refuse_moving_groups(each)
        pieces.append(each.groupby([stratum, "sum", "size"]).size().rename("n").reset_index())
    counted = pd.concat(pieces, ignore_index=True).groupby([stratum, "sum", "size"])["n"].sum()
    frame = counted.reset_index()
    if frame.empty:
        raise EstimationError(f"`{outcome}`: no member-month with a known value is left.")
    if (frame["sum"] < 0).any():
        raise EstimationError(
            f"`{outcome}` is below 0 for {int(frame.loc[frame['sum'] < 0, 'n'].sum())} members; "
            "bounds of a rate need 0 or more."
        )
    groups = {
        str(name): MemberPatterns(
            part["sum"].to_numpy(float), part["size"].to_numpy(float), part["n"].to_numpy(float)
        )
        for name, part in frame.groupby(stratum, sort=False)
    }
    return groups, counter.n_missing


def _refuse_moving_groups(each: pd.DataFrame) -> None:
    """Refuse members in several groups: they would be counted on several sides."""
    members = each.index.get_level_values("member_id")
    n = int(members.duplicated().sum())
    if n:
        raise EstimationError(
            f"{n:,} members are in several groups over the months; a member without a group in "
            "some months has one in others.\n  Give each member one group first, the recorded "
            "one where there is any."
        )
