"""Which version of a claim counts, from the rule's words: plain lists, claim by claim."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

Row = dict[str, Any]
FINAL = "used"


def service_day(line: Row) -> date:
    """Day of service of a line: its own, else the claim's; of a fill the day it was filled."""
    return line.get("claim_line_start_date") or line.get("claim_start_date") or _fill_day(line)


def _fill_day(line: Row) -> date:
    return line["dispensing_date"]


def bill(line: Row) -> str:
    """Type of bill without its leading zero; empty where the line has none."""
    code = line.get("bill_type_code") or ""
    return code[1:] if len(code) == 4 and code[0] == "0" else code


def status(line: Row) -> str:
    """As recorded, else by the fourth digit of the bill: 7 replaces, 8 voids."""
    recorded = line.get("claim_status")
    if recorded:
        return recorded
    digit = bill(line)[2:3] if line.get("claim_type") == "institutional" else ""
    return {"7": "replacement", "8": "void"}.get(digit, "original")


def named_claim(line: Row) -> str:
    """Claim a void or a replacement acts on: the one it names, else its own number."""
    return line.get("original_claim_id") or line["claim_id"]


def standings(lines: list[Row]) -> list[str]:
    """For each line ``"used"``, or the reason it does not count."""
    acts = [(status(line), line) for line in lines]
    voided = {named_claim(line) for what, line in acts if what == "void"}
    replacing: dict[str, list[Row]] = defaultdict(list)
    for what, line in acts:
        if what == "replacement":
            replacing[named_claim(line)].append(line)
    return [_standing(what, line, voided, replacing) for what, line in acts]


def _standing(what: str, line: Row, voided: set[str], replacing: dict[str, list[Row]]) -> str:
    if what == "denied":
        return "denied"
    if what == "void":
        return "void record"
    if line["claim_id"] in voided:
        return "voided"
    if what == "replacement":
        rivals = replacing[named_claim(line)]
        if line["paid_date"] < max(rival["paid_date"] for rival in rivals):
            return "replaced"
        if named_claim(line) == line["claim_id"]:
            return FINAL
    return "replaced" if line["claim_id"] in replacing else FINAL
