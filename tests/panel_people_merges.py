"""Former identifiers for the members of `panel_people`."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

Row = dict[str, Any]
LAST_ONE = "zzz"
BASE = date(2023, 12, 1)
# The last day of a month and the day after: recorded in time, and not.
RECORDED = (date(2024, 2, 29), date(2024, 3, 1), date(2024, 4, 30), date(2024, 9, 1))
TORN = ("eligibility", "custody", "police_contact", "ems_call")


def with_merges(tables: dict[str, list[Row]], rng: Random) -> dict[str, list[Row]]:
    """Tables in which members come under former identifiers too, and what says which are whose."""
    merges: list[Row] = []
    names: dict[str, tuple[str, ...]] = {}

    def merge(former: str, now: str, when: date | None = None) -> None:
        merges.append({"member_id": former, "current_member_id": now, "merged_date": when})

    for who in sorted({row["member_id"] for row in tables["eligibility"]} - {LAST_ONE}):
        old, older, torn = f"{who}-old", f"{who}-older", f"{who}-torn"
        names[who] = rng.choice(((who,), (who, old), (who, old, older), (who, torn), (old, older)))
        merge(old, who, rng.choice((None, BASE, RECORDED[0])))
        merge(older, rng.choice((old, old, who)), rng.choice((None, RECORDED[0], RECORDED[1])))
        what = rng.randrange(8)
        if what == 0:
            merge(torn, who, BASE)
            merge(torn, "nobody", BASE)
        elif what == 1:
            merge(torn, "nobody", BASE)
            merge(torn, who, RECORDED[0])
            merge(torn, who, RECORDED[0])
        elif what == 2:
            merge(torn, f"{who}-round", BASE)
            merge(f"{who}-round", torn, BASE)
        elif what == 3:
            merge(torn, torn, BASE)
        elif what == 4:
            merge(f"{who}-into", f"{who}-round", BASE)
            merge(f"{who}-round", torn, BASE)
            merge(torn, f"{who}-round", BASE)
    told: dict[str, list[Row]] = {}
    for name, rows in tables.items():
        told[name] = []
        for row in rows:
            known = names.get(row.get("member_id", ""), ())
            # A torn identifier is a member of its own, who has coverage and feeds but no claims:
            # no rule says what a claim number is that two members have.
            known = [each for each in known if name in TORN or not each.endswith("torn")]
            times = rng.choice((1, 1, 1, 2)) if len(known) > 1 else 1
            chosen = rng.sample(known, times) if known else [None]
            told[name] += [{**row, "member_id": who} if who else row for who in chosen]
    return told | {"member_xref": rng.sample(merges, len(merges))}
