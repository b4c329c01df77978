"""Panels drawn by hand: an ASCII table in, a `MemberMonths` out."""

from __future__ import annotations

import pandas as pd

from calaim_eval.panel import MemberMonths

EXPOSURE = ("identified_month", "outreach_month", "service_month")


def read_ascii(text: str) -> pd.DataFrame:
    """Cells of a table drawn with `|`; a line of dashes is skipped; an empty cell is ""."""
    lines = [line.strip() for line in text.strip().splitlines()]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if "-+-" not in line]
    return pd.DataFrame(rows[1:], columns=rows[0])


def spans(text: str) -> list[pd.Period]:
    """Months of spans such as ``2022-01..2022-03 2022-06``."""
    months: list[pd.Period] = []
    for span in text.split():
        first, _, last = span.partition("..")
        months += list(pd.period_range(first, last or first, freq="M"))
    return months


def counts(text: str) -> dict[pd.Period, int]:
    """Events by month from text such as ``2022-01:3 2022-02:2``."""
    pairs = (each.split(":") for each in text.split())
    return {pd.Period(month, freq="M"): int(n) for month, n in pairs}


def hand_panel(text: str, *, service: str = "ecm") -> MemberMonths:
    """Panel of the members drawn.

    Columns: `member`, `covered` (spans), and where wanted `listed`, `outreach`, `service`
    (months), `ed` (counts), `race`, `county`, `age`, `focus`, `org`.
    """
    table = read_ascii(text)
    months = [row for member in table.to_dict("records") for row in _member_months(member)]
    exposures = [row for member in table.to_dict("records") for row in _exposures(member, service)]
    frame = pd.DataFrame(exposures, columns=["member_id", "service", *EXPOSURE, *_TEXT.values()])
    return MemberMonths.from_frames(pd.DataFrame(months), frame)


_TEXT = {"org": "organization_type", "focus": "population_of_focus"}


def _member_months(member: dict[str, str]) -> list[dict[str, object]]:
    visits = counts(member.get("ed", ""))
    return [
        {
            "member_id": member["member"],
            "month": month.start_time,
            "covered_days": 28,
            "ed_visits": visits.get(month, 0),
            "race_ethnicity": member.get("race", "white"),
            "county": member.get("county", "Fresno") or None,
            "age_years": int(member.get("age", "40")),
        }
        for month in spans(member["covered"])
    ]


def _exposures(member: dict[str, str], service: str) -> list[dict[str, object]]:
    dates = [member.get(name, "") for name in ("listed", "outreach", "service")]
    if not any(dates):
        return []
    months = {
        column: pd.Timestamp(f"{date}-01") if date else pd.NaT
        for column, date in zip(EXPOSURE, dates, strict=True)
    }
    text = {column: member.get(name) or None for name, column in _TEXT.items()}
    return [{"member_id": member["member"], "service": service, **months, **text}]
