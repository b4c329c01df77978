"""A finding: a check that found something, how much of it, where, and how serious it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from calaim_eval.quality.checks import CHECKS, Check
from calaim_eval.quality.rules import QualityRules

Severity = Literal["stop", "warn", "note"]
SEVERITIES: tuple[Severity, ...] = ("stop", "warn", "note")
NOT_RECORDED = "(not recorded)"
ACCEPTED_NOTE = "Accepted ("
"""How a line of the report on an accepted finding begins."""
DIMENSIONS = ("plan", "county", "month", "code", "feed")
JUDGED_FROM = 1_000
"""A plan's own share can make a warning from so many units on."""


@dataclass(frozen=True, slots=True)
class Group:
    """The part of a finding that falls to one plan, county, month, code or kind of claim."""

    dimension: str
    name: str
    n: int
    of: int

    @property
    def share(self) -> float:
        """Share with the problem, 0 to 1."""
        return self.n / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found in one table.

    Attributes
    ----------
    check : Check
    table : str
    columns : tuple[str, ...]
    n, of : int
        Units with the problem, and units looked at.
    n_members : int | None
        Distinct members behind `n`, where they were counted.
    severity : {"stop", "warn", "note"}
        As judged from the limits, accepted or not.
    warn_above, stop_above : float or None
        Limits it was held against.
    accepted : str | None
        Reason from the study file.
    groups : tuple[Group, ...]
        Where it lies; within a dimension the surely largest share first, months in order.
    """

    check: Check
    table: str
    columns: tuple[str, ...]
    n: int
    of: int
    n_members: int | None
    severity: Severity
    warn_above: float | None
    stop_above: float | None
    accepted: str | None = None
    groups: tuple[Group, ...] = ()

    @property
    def share(self) -> float:
        """Share with the problem, 0 to 1."""
        return self.n / self.of if self.of else 0.0

    @property
    def stops(self) -> bool:
        """Whether the study must not run on."""
        return self.severity == "stop" and self.accepted is None

    @property
    def warns(self) -> bool:
        """Whether somebody should look."""
        return self.severity != "note" and self.accepted is None

    @property
    def large_plan(self) -> Group | None:
        """The large plan that makes it a warning where the share as a whole does not."""
        if self.severity != "warn" or self.warn_above is None or self.share > self.warn_above:
            return None
        plans = [g for g in self.by("plan") if g.of >= JUDGED_FROM]
        return max(plans, key=lambda group: group.share, default=None)

    def by(self, dimension: str) -> tuple[Group, ...]:
        """Its groups of one dimension."""
        return tuple(group for group in self.groups if group.dimension == dimension)


def build_findings(
    counts: pd.DataFrame, members: pd.DataFrame, rules: QualityRules
) -> tuple[Finding, ...]:
    """Findings from counts, worst first.

    Parameters
    ----------
    counts : pd.DataFrame
        `check`, `table`, `columns` (parted by commas; empty for those of the check), `plan`,
        `county`, `month`, `code`, `feed` (empty text where the check does not look by it), `n`,
        `of`.
    members : pd.DataFrame
        `check`, `table`, `n_members`.
    rules : QualityRules
    """
    known = {(row.check, row.table): row.n_members for row in members.itertuples(index=False)}
    found = [
        _finding(str(check), str(table), str(columns), rows, known.get((check, table)), rules)
        for (check, table, columns), rows in counts.groupby(
            ["check", "table", "columns"], sort=False
        )
        if rows["n"].sum() > 0
    ]
    return tuple(sorted(found, key=_worst_first))


def _worst_first(finding: Finding) -> tuple[bool, int, float, str, str]:
    """Order of findings: what is not accepted, by severity, by share."""
    return (
        finding.accepted is not None,
        SEVERITIES.index(finding.severity),
        -finding.share,
        finding.check.id,
        finding.table,
    )


def _finding(
    check_id: str,
    table: str,
    columns: str,
    rows: pd.DataFrame,
    n_members: int | None,
    rules: QualityRules,
) -> Finding:
    """One finding with its groups and severity."""
    check = CHECKS[check_id]
    warn_above, stop_above = rules.limits(check_id)
    n, of = int(rows["n"].sum()), int(rows["of"].sum())
    groups = tuple(group for dimension in DIMENSIONS for group in _groups(rows, dimension))
    return Finding(
        check=check,
        table=table,
        columns=tuple(columns.split(",")) if columns else check.columns_of(table),
        n=n,
        of=of,
        n_members=None if n_members is None else int(n_members),
        severity=_severity(n / of if of else 1.0, groups, warn_above, stop_above),
        warn_above=warn_above,
        stop_above=stop_above,
        accepted=rules.accepted.get(check_id),
        groups=groups,
    )


def _groups(rows: pd.DataFrame, dimension: str) -> list[Group]:
    """Where a finding lies, by one dimension; nothing where it was not looked at by it."""
    if rows[dimension].eq("").all():
        return []
    summed = rows.groupby(dimension, sort=True)[["n", "of"]].sum()
    groups = [
        Group(dimension, str(name), int(n), int(of))
        for name, n, of in summed.itertuples()
        if n > 0 or (dimension == "month" and of > 0)
    ]
    if dimension == "month":
        return groups
    return sorted(groups, key=lambda group: (-_surely(group), -group.n, group.name))


def _surely(group: Group) -> float:
    """Lower end of the 95% Wilson interval of a share: a small group must not lead by chance."""
    z, n, share = 1.96, max(group.of, 1), group.share
    middle = share + z**2 / (2 * n)
    spread = z * math.sqrt(max(0.0, share * (1 - share) / n + z**2 / (4 * n**2)))
    return (middle - spread) / (1 + z**2 / n)


def _severity(
    share: float, groups: Sequence[Group], warn_above: float | None, stop_above: float | None
) -> Severity:
    """A finding stops by its share as a whole; it warns by that or by the share of a large plan."""
    if stop_above is not None and share > stop_above and stop_above < 1:
        return "stop"
    plans = [g.share for g in groups if g.dimension == "plan" and g.of >= JUDGED_FROM]
    if warn_above is not None and max([share, *plans]) > warn_above and warn_above < 1:
        return "warn"
    return "note"
