"""Merged identifiers from the rules' words: chains walked a step at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date

from panel_oracle_claims import Row

SAME = "names the same identifier twice"
COPY = "exact duplicate"
EARLIER = "an earlier merge of the identifier; the latest is kept"
SEVERAL = "one identifier with several current ones, none of them the latest"
CIRCLE = "merges that form a circle"


def merges(rows: list[Row]) -> tuple[dict[str, list[Row]], Counter]:
    """Steps from each former identifier to its current one, and what became of the rows."""
    told: Counter = Counter()
    of: dict[str, set[tuple[str, date]]] = defaultdict(set)
    for row in rows:
        former, now = row["member_id"], row["current_member_id"]
        step = (now, row.get("merged_date") or date.min)
        if former == now:
            told[SAME] += 1
        elif step in of[former]:
            told[COPY] += 1
        else:
            of[former].add(step)
    link: dict[str, Row] = {}
    for former, steps in of.items():
        latest = max((when for _, when in steps), default=date.min)
        named = {(now, when) for now, when in steps if when == latest}
        if len(named) == 1:
            told[EARLIER] += len(steps) - 1
            link[former] = dict(zip(("to", "when"), named.pop(), strict=True))
        else:
            told[SEVERAL] += len(steps)
    on_circle = {former for former in link if former in _ends(former, link)[1:]}
    told[CIRCLE] += len(on_circle)
    link = {former: step for former, step in link.items() if former not in on_circle}
    told["used"] = len(link)
    return {former: _steps(former, link) for former in link}, +told


def _ends(first: str, link: dict[str, Row]) -> list[str]:
    """Identifiers from one on, until there is no step or one comes again."""
    told = [first]
    while told[-1] in link:
        told.append(link[told[-1]]["to"])
        if told[-1] in told[:-1]:
            break
    return told


def _steps(first: str, link: dict[str, Row]) -> list[Row]:
    """Steps to the end of a chain, which has no circle any more."""
    told, here = [], first
    while here in link:
        told.append(link[here])
        here = link[here]["to"]
    return told


def as_read(tables: dict[str, list[Row]]) -> tuple[dict[str, list[Row]], Counter]:
    """Tables under current identifiers, without repeats and without rows of strangers.

    A stranger has no row of `eligibility`. Beside the tables: what became of the rows that merge.
    """
    steps, told = merges(tables.get("member_xref", []))
    now = {former: mine[-1]["to"] for former, mine in steps.items()}
    read = {}
    for name, rows in tables.items():
        if name == "member_xref":
            continue
        kept = _one_person_each(_born_first(rows), steps) if name == "person" else rows
        moved = [
            {**row, "member_id": now.get(row["member_id"], row["member_id"])}
            if "member_id" in row
            else row
            for row in kept
        ]
        read[name] = without_repeats(moved)
    # A support under ECM is a record of neither.
    records = read.get("program_service", [])
    records[:] = [row for row in records if (row["program"] == "ecm") == (row["service"] == "ecm")]
    members = {row["member_id"] for row in read["eligibility"]}
    for name, rows in read.items():
        if name not in ("eligibility", "person"):
            read[name] = [
                row for row in rows if "member_id" not in row or row["member_id"] in members
            ]
    return read, told


def _born_first(rows: list[Row]) -> list[Row]:
    """Persons; a death before birth is read as missing."""

    def is_early(row: Row) -> bool:
        birth, death = row.get("birth_date"), row.get("death_date")
        return birth is not None and death is not None and death < birth

    return [{**row, "death_date": None} if is_early(row) else row for row in rows]


def _one_person_each(rows: list[Row], steps: dict[str, list[Row]]) -> list[Row]:
    """Persons: nearest to the current identifier, then latest merged, then first in order."""
    of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        mine = steps.get(row["member_id"])
        of[mine[-1]["to"] if mine else row["member_id"]].append(row)

    def order(row: Row) -> tuple:
        mine = steps.get(row["member_id"], [])
        return (len(mine), -(mine[0]["when"].toordinal() if mine else 0), row["member_id"])

    return [min(each, key=order) for each in of.values()]


def without_repeats(rows: list[Row]) -> list[Row]:
    """Rows as they are read: one that repeats another in every value is set aside."""
    seen: set[tuple] = set()
    told = []
    for row in rows:
        values = tuple(sorted((k, v) for k, v in row.items() if v is not None))
        if values not in seen:
            seen.add(values)
            told.append(row)
    return told
