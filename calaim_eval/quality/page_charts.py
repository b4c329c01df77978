"""The drawn parts of the page: heat table of completeness, bars by month, run-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.quality import completeness as judged
from calaim_eval.quality.counts import month_text
from calaim_eval.quality.findings import NOT_RECORDED, Finding
from calaim_eval.quality.masking import MOST_OF_FEW, Masking, percent

if TYPE_CHECKING:
    from calaim_eval.quality.check import QualityReport
    from calaim_eval.quality.run_out import RunOut

_CLASSES = {
    judged.GAP: "gap",
    judged.DROP: "drop",
    judged.SURGE: "surge",
    judged.ARRIVING: "arriving",
    judged.TOO_SMALL: "small",
    judged.ABSENT: "gap",
}
_SIGNS = {judged.DROP: "&#9660;", judged.SURGE: "&#9650;"}
_STEPS = ((0.7, "l2"), (0.9, "l1"), (1.1, "m"), (1.3, "h1"))
_SHOWN_LAGS = 13
_SHOWN_MONTHS = 12
_NAMED = 3


def completeness_tables(frame: pd.DataFrame, masking: Masking) -> str:
    """A heat table for each kind of claim; the plans with most flagged months first."""
    feeds = frame.groupby("feed", sort=True)
    return "".join(_heat_table(str(feed), rows, masking) for feed, rows in feeds)


def _heat_table(feed: str, rows: pd.DataFrame, masking: Masking) -> str:
    months = sorted(rows["month"].unique())
    bad = rows["flag"].isin([judged.GAP, judged.DROP, judged.SURGE, judged.ABSENT])
    n_bad = bad.groupby(rows["plan"]).sum()
    n_judged = (~rows["flag"].isin([judged.TOO_SMALL, judged.ARRIVING])).groupby(rows["plan"]).sum()
    shown = [plan for plan in n_bad.index if n_judged[plan] > 0]
    plans = sorted(shown, key=lambda plan: (-n_bad[plan], plan))
    cells = {(row.plan, row.month): row for row in rows.itertuples(index=False)}
    body = "".join(
        f"<tr><th scope='row'>{escape(plan or NOT_RECORDED)}</th>"
        + "".join(_cell(cells.get((plan, month)), masking) for month in months)
        + "</tr>"
        for plan in plans
    )
    small = len(n_bad) - len(plans)
    note = f"<p class='more'>{small} more plans are too small to judge.</p>" if small else ""
    return (
        f"<h3>{judged.FEED_TITLES.get(feed, feed)}</h3>"
        "<div class='scroll'><table class='heat'><caption>"
        f"Lines per 1,000 member-months, in percent of the plan's running median"
        f"</caption><thead>{_month_heads(months)}</thead><tbody>{body}</tbody></table></div>{note}"
    )


def _month_heads(months: Sequence[int]) -> str:
    """Years over months."""
    years: dict[int, int] = {}
    for month in months:
        years[month // 12] = years.get(month // 12, 0) + 1
    first = "".join(
        f"<th scope='colgroup' colspan='{n}'>{year if n > 1 else str(year)[2:]}</th>"
        for year, n in years.items()
    )
    second = "".join(f"<th scope='col'>{month % 12 + 1}</th>" for month in months)
    return f"<tr><th scope='col' rowspan='2'>Plan</th>{first}</tr><tr>{second}</tr>"


def _cell(row: object, masking: Masking) -> str:
    """One month of one plan."""
    if row is None:
        return "<td class='none'></td>"
    flag, rate, reference = row.flag, row.per_1000, row.reference  # type: ignore[attr-defined]
    if flag == judged.ARRIVING:
        return "<td class='arriving'>&hellip;</td>"
    if flag == judged.TOO_SMALL:
        return "<td class='small'>&middot;</td>"
    if flag in (judged.GAP, judged.ABSENT):
        return "<td class='gap'>0</td>"
    ratio = rate / reference if reference else 0.0
    kind = _CLASSES.get(flag) or next((name for at, name in _STEPS if ratio < at), "h2")
    sign = _SIGNS.get(flag, "")
    if masking.hides(row.n_lines, of_people=True):  # type: ignore[attr-defined]
        expected = reference * row.n_member_months / 1_000  # type: ignore[attr-defined]
        most = math.ceil(100 * (MOST_OF_FEW + 1) / expected)
        return f"<td class='{kind}'>{sign}&lt;{most}</td>"
    return f"<td class='{kind}'>{sign}{round(100 * ratio)}</td>"


def month_bars(finding: Finding, masking: Masking) -> str:
    """Share by month as a row of bars; months whose count is hidden are marked, not drawn."""
    groups = finding.by("month")
    if len(groups) < 2:
        return ""
    told = masking.parts(groups, finding, of_people=finding.check.is_about_people)
    if not told:
        return ""
    shares = [
        None if shown.n is None or (shown.of is None and shown.n > 0) else group.share
        for group, shown in zip(groups, told, strict=True)
    ]
    top = max((share for share in shares if share is not None), default=0.0)
    if top == 0:
        return ""
    width, height, gap = 9, 48, 2
    marks = []
    for at, (group, share) in enumerate(zip(groups, shares, strict=True)):
        left = at * (width + gap)
        if share is None:
            marks.append(
                f"<circle cx='{left + width / 2}' cy='{height - 2}' r='1.5'>"
                f"<title>{group.name}: not shown</title></circle>"
            )
            continue
        tall = max(0.0, share / top * (height - 4))
        marks.append(
            f"<rect x='{left}' y='{height - tall:.1f}' width='{width}' height='{tall:.1f}'>"
            f"<title>{group.name}: {percent(share)}</title></rect>"
        )
    total = len(groups) * (width + gap)
    worst = [group.name for group, share in zip(groups, shares, strict=True) if share == top]
    words = (
        f"Share by month, {groups[0].name} to {groups[-1].name}; largest {percent(top)}, "
        f"in {_few_names(worst)}"
    )
    return (
        f"<figure><svg role='img' aria-label='{words}' viewBox='0 0 {total} {height}' "
        f"style='max-width:{total}px'>{''.join(marks)}</svg><figcaption>{words}</figcaption>"
        "</figure>"
    )


def _few_names(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    listed = ", ".join(names[:_NAMED])
    left = len(names) - _NAMED
    return f"{listed} and {left} more" if left > 0 else listed


def run_out_tables(report: QualityReport, masking: Masking) -> str:
    """Arrival of lines by months since service, and how complete the last months are."""
    return "".join(
        _run_out_table(table, each, report.rules.complete_share, masking)
        for table, each in report.run_out.items()
    )


def _run_out_table(table: str, each: RunOut, limit: float, masking: Masking) -> str:
    def cell(share: float) -> str:
        told = masking.arrived(float(share), each.n_lines)
        if told is None:
            return "<td>&middot;</td>"
        return f"<td class='{'open' if share < limit else ''}'>{_floor_percent(told)}</td>"

    lags = range(_SHOWN_LAGS)
    head = "".join(f"<th scope='col'>{lag}</th>" for lag in lags)
    arrived = "".join(cell(each.factors[lag]) for lag in lags)
    last = each.months.tail(_SHOWN_MONTHS)
    months = "".join(f"<th scope='col'>{month_text(m)}</th>" for m in last["month"])
    complete = "".join(cell(share) for share in last["complete"])
    name = table.replace("_", " ")
    return (
        f"<h3>{name[0].upper()}{name[1:]}s, as of {month_text(each.as_of)}</h3>"
        "<div class='scroll'><table class='lags'><caption>Share of lines that arrive within so "
        f"many months after the month of service</caption><thead><tr><th scope='row'>Months</th>"
        f"{head}</tr></thead><tbody><tr><th scope='row'>Arrived</th>{arrived}</tr></tbody></table>"
        "</div><div class='scroll'><table class='lags'><caption>How complete the last months are"
        f"</caption><thead><tr><th scope='row'>Month</th>{months}</tr></thead><tbody><tr>"
        f"<th scope='row'>Complete</th>{complete}</tr></tbody></table></div>"
    )


def _floor_percent(share: float) -> str:
    """Whole percent, rounded down: 99.6% is not complete."""
    return f"{int(share * 100 + 1e-9)}%"
