"""A homeless-services system beside the simulated Medi-Cal: persons, stays, events, answers."""

from __future__ import annotations

import numpy as np
import pandas as pd

SCOPE = "SIM"
MARK = f"hmis:{SCOPE}:"
QUESTION = "ed_visits_past_year"
_ITEMS = {
    "aian": "AmIndAKNative",
    "asian": "Asian",
    "black": "BlackAfAmerican",
    "hispanic": "HispanicLatinao",
    "mena": "MidEastNAfrican",
    "nhpi": "NativeHIPacific",
    "white": "White",
}
_GROUPS = ("black", "white", "hispanic", "aian", "asian", "nhpi", "mena")
_GROUP_SHARES = (0.27, 0.30, 0.28, 0.05, 0.04, 0.03, 0.03)
_BOTH_SHARE, _NO_RACE_SHARE, _UNLINKED_SHARE = 0.15, 0.06, 0.25
_SHELTER, _REHOUSING, _ENTRY = "0", "13", "14"
_PROJECT_TYPES = (_SHELTER, _REHOUSING, _ENTRY)
_LIVING = ("101", "116", "118", "302")
_DESTINATIONS = ("101", "116", "410", "422", "30")
_EVENTS = ("10", "12", "14", "15")
_BED_NIGHT = "200:200"


def homeless_services(
    person: pd.DataFrame,
    homeless: pd.Series,
    organization: pd.DataFrame,
    *,
    rng: np.random.Generator,
    last_day: str = "2024-12-31",
    hispanic_item: str = "HispanicLatinao",
) -> dict[str, pd.DataFrame]:
    """Declared tables of an HMIS of members who are homeless, and of others who are no members.

    Parameters
    ----------
    person : pd.DataFrame
        `member_id`, `birth_date`, `sex`.
    homeless : pd.Series
        Members who are homeless; most are known to the system.
    organization : pd.DataFrame
        Organizations of the study; the first community-based ones run projects, and so do two that
        the study does not know.
    rng : np.random.Generator
    last_day : str
        End of the period.
    hispanic_item : str
        Item of the version.

    Returns
    -------
    dict of str to pd.DataFrame
        As `read_partner_files` gives them.
    """
    ids = homeless[rng.random(len(homeless)) < 1 - _UNLINKED_SHARE].reset_index(drop=True)
    others = [f"{MARK}{9000 + number}" for number in range(max(len(ids) // 4, 3))]
    persons = _persons(person, ids, others, rng)
    projects, organizations = _projects(organization)
    enrolled = _enrollments(persons, projects, last_day, rng)
    return {
        "homeless_person": persons,
        "race_record": _races(persons, hispanic_item, rng),
        "organization": organizations,
        "homeless_project": projects,
        "homeless_enrollment": enrolled,
        "homeless_service": _bed_nights(enrolled, last_day, rng),
        "homeless_assessment": _answers(enrolled, rng),
        "social_referral": _events(enrolled, projects, last_day, rng),
    }


def _persons(
    person: pd.DataFrame, ids: pd.Series, others: list[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Members known to the system, and persons who are no members."""
    known = person.drop_duplicates("member_id").set_index("member_id").reindex(ids)
    n = len(others)
    days = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 18_000, n), unit="D")
    return pd.DataFrame(
        {
            "member_id": [*ids, *others],
            "birth_date": [*pd.to_datetime(known["birth_date"]), *days],
            "sex": [*known["sex"], *rng.choice(["female", "male"], n)],
            "is_veteran": rng.random(len(ids) + n) < 0.08,
        }
    )


def _races(persons: pd.DataFrame, hispanic_item: str, rng: np.random.Generator) -> pd.DataFrame:
    """Races said yes to, one row each; some persons say two, some none."""
    items = _ITEMS | {"hispanic": hispanic_item}
    rows = []
    for member in persons["member_id"]:
        if rng.random() < _NO_RACE_SHARE:
            rows.append((member, "RaceNone", str(rng.choice(["8", "9", "99"]))))
            continue
        n_said = 1 + (rng.random() < _BOTH_SHARE)
        said = rng.choice(_GROUPS, size=n_said, replace=False, p=_GROUP_SHARES)
        rows += [(member, items[str(group)], "1") for group in said]
    frame = pd.DataFrame(rows, columns=["member_id", "race_item", "race_item_value"])
    system = "hmis_fy2024" if hispanic_item == "HispanicLatinaeo" else "hmis_fy2026"
    return frame.assign(race_item_system=system)


def _projects(organization: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three projects each of six organizations of the study and of two others."""
    known = organization.loc[organization["organization_type"] == "cbo", "organization_id"].head(6)
    others = [f"{MARK}{number}" for number in (801, 802)]
    rows = [
        (f"{MARK}{100 * place + number}", owner, f"Project {place}-{number}", kind)
        for place, owner in enumerate([*known, *others], start=1)
        for number, kind in enumerate(_PROJECT_TYPES)
    ]
    columns = ["project_id", "organization_id", "project_name", "project_type_code"]
    projects = pd.DataFrame(rows, columns=columns).assign(
        operating_start_date=pd.Timestamp("2019-07-01"), operating_end_date=pd.NaT
    )
    own = pd.DataFrame({"organization_id": others, "organization_name": ["Shelter A", "Shelter B"]})
    return projects, own.assign(organization_type="unknown")


def _enrollments(
    persons: pd.DataFrame, projects: pd.DataFrame, last_day: str, rng: np.random.Generator
) -> pd.DataFrame:
    """One to three enrollments a person, some not ended."""
    number = rng.integers(1, 4, len(persons))
    member = np.repeat(persons["member_id"].to_numpy(), number)
    n = len(member)
    last = pd.Timestamp(last_day)
    entry = last - pd.to_timedelta(rng.integers(5, 900, n), unit="D")
    leaves = entry + pd.to_timedelta(rng.integers(1, 400, n), unit="D")
    has_left = np.asarray(leaves <= last)
    at = projects.iloc[rng.integers(0, len(projects), n)].reset_index(drop=True)
    own = pd.Series([f"{MARK}{number}" for number in range(1, n + 1)])
    moved = entry + pd.to_timedelta(rng.integers(0, 60, n), unit="D")
    is_housed = (at["project_type_code"] == _REHOUSING) & (rng.random(n) < 0.5)
    return pd.DataFrame(
        {
            "homeless_enrollment_id": own,
            "member_id": member,
            "household_id": own.str.replace(MARK, f"{MARK}h", regex=False),
            "project_id": at["project_id"],
            "organization_id": at["organization_id"],
            "project_type_code": at["project_type_code"],
            "entry_date": entry,
            "exit_date": pd.Series(leaves).where(has_left),
            "move_in_date": pd.Series(moved).where(is_housed),
            "relationship_to_head_code": "1",
            "living_situation_code": rng.choice(_LIVING, n),
            "destination_code": pd.Series(rng.choice(_DESTINATIONS, n), dtype=object).where(
                has_left, None
            ),
            "has_disabling_condition": rng.random(n) < 0.6,
            "is_on_medicaid": pd.Series(rng.random(n) < 0.85, dtype=object).where(
                rng.random(n) < 0.9, None
            ),
        }
    )


def _bed_nights(enrolled: pd.DataFrame, last_day: str, rng: np.random.Generator) -> pd.DataFrame:
    """A few nights of stays in shelters."""
    stays = enrolled[enrolled["project_type_code"] == _SHELTER]
    end = stays["exit_date"].fillna(pd.Timestamp(last_day))
    room = (end - stays["entry_date"]).dt.days.to_numpy() + 1
    number = np.minimum(rng.integers(1, 5, len(stays)), room)
    at = np.repeat(np.arange(len(stays)), number)
    offset = (rng.random(len(at)) * room[at]).astype(int)
    own = stays.iloc[at].reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "homeless_service_id": [f"{MARK}{number}" for number in range(1, len(at) + 1)],
            "homeless_enrollment_id": own["homeless_enrollment_id"],
            "member_id": own["member_id"],
            "organization_id": own["organization_id"],
            "service_date": own["entry_date"] + pd.to_timedelta(offset, unit="D"),
        }
    )
    return frame.assign(homeless_service_code=_BED_NIGHT)


def _answers(enrolled: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Answers to a local question at entry, of half the enrollments."""
    asked = enrolled[rng.random(len(enrolled)) < 0.5].reset_index(drop=True)
    visits = rng.negative_binomial(1, 0.12, len(asked))
    return pd.DataFrame(
        {
            "assessment_id": [f"{MARK}{number}" for number in range(1, len(asked) + 1)],
            "member_id": asked["member_id"],
            "homeless_enrollment_id": asked["homeless_enrollment_id"],
            "assessment_date": asked["entry_date"],
            "question": QUESTION,
            "answer": [str(number) for number in visits],
        }
    )


def _events(
    enrolled: pd.DataFrame, projects: pd.DataFrame, last_day: str, rng: np.random.Generator
) -> pd.DataFrame:
    """Referrals of coordinated entry: from the project of the first enrollment to another."""
    first = enrolled.drop_duplicates("member_id")
    first = first[rng.random(len(first)) < 0.6].reset_index(drop=True)
    n = len(first)
    day = first["entry_date"] + pd.to_timedelta(rng.integers(0, 20, n), unit="D")
    told = day + pd.to_timedelta(rng.integers(1, 60, n), unit="D")
    status = pd.Series(rng.choice(["pending", "accepted", "closed", "declined"], n), dtype=object)
    status = status.where(told <= pd.Timestamp(last_day), "pending")
    is_final = status.isin(["closed", "declined"])
    owners = projects["organization_id"].drop_duplicates().to_numpy()
    own = [f"{MARK}event:{number}" for number in range(1, n + 1)]
    return pd.DataFrame(
        {
            "referral_id": own,
            "root_referral_id": own,
            "member_id": first["member_id"],
            "from_organization_id": first["organization_id"],
            "to_organization_id": owners[rng.integers(0, len(owners), n)],
            "social_service_code": rng.choice(_EVENTS, n),
            "social_service_code_system": "hmis_event",
            "referred_date": day,
            "accepted_date": told.where(status == "accepted"),
            "closed_date": told.where(is_final),
            "referral_status": status,
            "closure_reason": status.map({"closed": "member_declined", "declined": "other"}),
        }
    )
