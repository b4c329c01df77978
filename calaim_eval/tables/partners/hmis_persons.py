"""Persons of an HMIS export, and what their records say of race and ethnicity."""

from __future__ import annotations

import pandas as pd

from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.hmis_export import COMMON_RACES, RACE_COLUMNS, HmisExport
from calaim_eval.tables.partners.hmis_layers import VERSION
from calaim_eval.tables.partners.links import Links
from calaim_eval.tables.partners.partner_tables import declared_frame

SEXES = {"0": "female", "1": "male", "8": "unknown", "9": "unknown", "99": "unknown"}
YES_NO = {"1": True, "0": False}
SAME_MEMBER = "person linked to the same member as another (one row in `homeless_person`)"
NO_RACE = "person without any race recorded (counted as not collected)"
YES, NO_ANSWER = "1", "RaceNone"
STRANGE_RACE = "item of race that is not 0, 1 or 99 (read as not said)"


def person_frames(
    export: HmisExport, links: Links, ledger: RowLedger
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Persons, what their records say of race, and the identifiers that are kept."""
    rows = export.rows("Client", ledger)
    rows.require("PersonalID")
    rows.keep_latest(["PersonalID"], by="DateUpdated")
    born = rows.day("DOB", is_needed=False)
    races = (*COMMON_RACES, *RACE_COLUMNS.values())
    rows.note(~_said(rows.frame, races).any(axis=1), NO_RACE)
    items = rows.frame[[each for each in races if each != NO_ANSWER]]
    rows.note((items.notna() & ~items.isin(["0", YES, "99"])).any(axis=1), STRANGE_RACE)
    at = rows.used()
    kept = rows.frame.iloc[at]
    members = links.member(kept["PersonalID"], export.scope)
    persons = declared_frame(
        "homeless_person",
        {
            "member_id": members,
            "birth_date": born.iloc[at],
            "sex": kept["Sex"].map(SEXES).astype(object),
            "is_veteran": yes_no(kept["VeteranStatus"]),
        },
    )
    is_again = persons.duplicated("member_id", keep="last")
    ledger.note("hmis Client", SAME_MEMBER, int(is_again.sum()))
    persons = persons[~is_again].reset_index(drop=True)
    return persons, _races(kept, members, races), kept["PersonalID"]


def _said(frame: pd.DataFrame, races: tuple[str, ...]) -> pd.DataFrame:
    """Which items are said yes to; of `RaceNone` which have an answer."""
    said = frame[list(races)] == YES
    none = frame[NO_ANSWER]
    said[NO_ANSWER] = none.notna() & (none != "0")
    return said


def _races(kept: pd.DataFrame, members: pd.Series, races: tuple[str, ...]) -> pd.DataFrame:
    """One row for each item of race that a person's record says yes to, or why there is none."""
    said = _said(kept, races)
    system = "hmis_" + kept[VERSION].astype(str).str.lower()
    long = kept[list(races)].where(said, None).assign(member_id=members, system=system)
    long = long.melt(["member_id", "system"], list(races)).dropna(subset="value")
    is_silent = ~said.any(axis=1) & ~members.isin(long["member_id"])
    none = pd.DataFrame(
        {"member_id": members, "system": system, "variable": NO_ANSWER, "value": "99"}
    )
    long = pd.concat([long, none[is_silent]], ignore_index=True)
    long = long.drop_duplicates(["member_id", "variable"])
    return declared_frame(
        "race_record",
        {
            "member_id": long["member_id"],
            "race_item": long["variable"],
            "race_item_value": long["value"],
            "race_item_system": long["system"].astype(object),
        },
    )


def yes_no(codes: pd.Series) -> pd.Series:
    """1 and 0 as yes and no, everything else as not known."""
    return codes.map(YES_NO).astype("boolean")
