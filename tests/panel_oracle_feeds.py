"""Police contacts, ambulance calls, and where a feed reaches, from the rules' words."""

from __future__ import annotations

from datetime import date

from panel_oracle_claims import Row
from panel_oracle_coverage import Coverage, days_between, month_ends, month_of

FEED_OF = {
    **dict.fromkeys(("jail_days", "bookings"), "custody"),
    **dict.fromkeys(("police_contacts", "arrests", "involuntary_holds"), "police_contact"),
    **dict.fromkeys(("citations", "welfare_checks"), "police_contact"),
    "ems_transports": "ems_call",
}
OUTSIDE_FEED = "outside what the feed covers"
REPEATED = "repeats another row of the day"
NOT_TRANSPORTED = "no transport, or not known"
Days = list[tuple[str, date]]


def is_fed(stretches: list[Row], feed: str, county: str | None, month: str) -> bool:
    """Whether a feed covers every day of a month in a county; one without a row covers all."""
    mine = [row for row in stretches if row["feed"] == feed]
    here = [row for row in mine if row.get("county") in (None, county)]
    return not mine or all(
        any(
            (row["coverage_start_date"] or date.min)
            <= day
            <= (row["coverage_end_date"] or date.max)
            for row in here
        )
        for day in days_between(*month_ends(month))
    )


def unfed_months(cover: Coverage, stretches: list[Row]) -> dict[str, set[tuple[str, str]]]:
    """Months of the panel that each feed does not cover."""
    return {
        feed: {
            key
            for key, row in cover.months.items()
            if not is_fed(stretches, feed, row["county"], key[1])
        }
        for feed in ("custody", "police_contact", "ems_call")
    }


def with_feed(fates: set[str], key: tuple[str, str], unfed: set[tuple[str, str]]) -> set[str]:
    """What may be said of a row or event of a feed."""
    return {OUTSIDE_FEED} if fates == {"used"} and key in unfed else fates


def police_days(rows: list[Row]) -> dict[str, Days]:
    """Days of contacts by measure."""
    contacts = {(row["member_id"], row["contact_date"], _kind(row)) for row in rows}
    of = {
        "arrests": "arrest",
        "citations": "citation",
        "welfare_checks": "welfare_check",
        "involuntary_holds": "hold_5150",
    }
    told = {name: [(w, day) for w, day, k in contacts if k == kind] for name, kind in of.items()}
    return {"police_contacts": [(who, day) for who, day, _ in contacts], **told}


def _kind(row: Row) -> str:
    return row.get("contact_type") or "other"


def transport_days(rows: list[Row]) -> Days:
    """One per member and day with a call that ended in a transport."""
    return sorted({(r["member_id"], r["call_date"]) for r in rows if r.get("is_transported")})


def police_reasons(rows: list[Row], cover: Coverage, unfed: set) -> list[set[str]]:
    """What became of each contact."""
    keys = [(row["member_id"], row["contact_date"], _kind(row)) for row in rows]
    return _reasons(keys, cover, unfed)


def call_reasons(rows: list[Row], cover: Coverage, unfed: set) -> list[set[str]]:
    """What became of each call."""
    carried = [(row["member_id"], row["call_date"]) for row in rows if row.get("is_transported")]
    others = [row for row in rows if not row.get("is_transported")]
    return _reasons(carried, cover, unfed) + [
        # The words do not say whether a call nobody was carried by is first outside coverage.
        {NOT_TRANSPORTED} | (cover.fates(row["member_id"], row["call_date"]) - {"used"})
        for row in others
    ]


def _reasons(keys: list[tuple], cover: Coverage, unfed: set) -> list[set[str]]:
    """Fates of rows; the first of a key is used."""
    told, seen = [], set()
    for key in keys:
        who, day = key[:2]
        fate = with_feed(cover.fates(who, day), (who, month_of(day)), unfed)
        told.append({REPEATED} if fate == {"used"} and key in seen else fate)
        seen.add(key)
    return told


def custody_months(spells: list[Row], deaths: dict[str, date], last: date) -> set[tuple[str, str]]:
    """Members and months with every day in custody."""
    days: set[tuple[str, date]] = set()
    for row in spells:
        end = min(row["release_date"] or deaths.get(row["member_id"], date.max), last)
        if row["booking_date"] <= end:
            days |= {(row["member_id"], day) for day in days_between(row["booking_date"], end)}
    touched = {(who, month_of(day)) for who, day in days}
    return {
        (who, month)
        for who, month in touched
        if all((who, day) in days for day in days_between(*month_ends(month)))
    }
