"""Read what plans and ECM providers exchange: member lists, return transmissions, outreach.

Which of the three a file is its columns say, in the words of the state's templates or of the
plan's own `layout.toml`. Statements of a referral's status over the months become one referral.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.exchange_layout import (
    HEADS,
    INFORMATION,
    NAMES,
    OUTREACH,
    RETURN,
    read_layout,
)
from calaim_eval.tables.partners.exchange_rows import (
    NAME,
    NO_LINK,
    ExchangeRows,
    name_members,
    named_rows,
    organization_of,
    read_exchange_files,
    value_of,
)
from calaim_eval.tables.partners.exchange_voids import take_back
from calaim_eval.tables.partners.links import find_links, link_paths, note_passed_over
from calaim_eval.tables.partners.loop_status import fold_statements
from calaim_eval.tables.partners.partner_tables import (
    PartnerTables,
    declared_frame,
    joined_frames,
)
from calaim_eval.tables.partners.row_files import is_row_file
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.sources import SourceFiles

NOTHING = "row that tells neither of enrollment, nor of a service, nor of a referral"
END_FIRST = "enrollment that ends before it begins"
NO_STATUS_DAY = "referral status without a day (the day of the file is taken)"
NO_DAY_AT_ALL = "referral status without any day (no referral is made of it)"
SAME_RECORD = "the same service, attempt or listing stated again (one record)"
OLDER_REPORT = "enrollment stated again (kept as last stated)"


def read_plan_exchange(folder: Path) -> PartnerTables:
    """Read the exchange files of one or several plans.

    Parameters
    ----------
    folder : Path
        Text files and workbooks, or one folder a plan; in each folder may lie a `layout.toml`.
        Beside them may lie `member_link` (the client index number) and `organization_link` (the
        NPI, else the tax number, else the name as the files have them).

    Returns
    -------
    PartnerTables
        `program_enrollment`, `program_service`, `referral`, `organization`.

    Raises
    ------
    TableError
        There are no files, a file is of no kind that is read, or a layout is not understood.

    Notes
    -----
    A client index number never leaves this function: members without a link are numbered.
    """
    ledger = PlacedLedger()
    links = find_links(folder, NAME, ledger)
    parts: dict[str, list[ExchangeRows]] = {kind: [] for kind in HEADS}
    paths: list[Path] = []
    plans = sorted(each for each in folder.iterdir() if each.is_dir())
    for number, place in enumerate((folder, *plans)):
        layout = read_layout(place)
        own = [path for path in _row_paths(place) if path not in link_paths(place)]
        which = f"folder {number} of {len(plans)} by name, " if number else ""
        for kind, rows in read_exchange_files(own, layout, ledger, folder=which):
            parts[kind].append(named_rows(rows, kind, layout))
        paths += own
    if not paths:
        raise TableError(
            f"`{folder}` holds no exchange files.\n"
            "  Put text files or workbooks into the folder, or into one folder a plan."
        )
    for kind, listed in parts.items():
        take_back(listed, kind, ledger)
    every = [each for kind in parts.values() for each in kind]
    name_members(every, links, ledger)
    for each in every:
        each.rows.frame["organization"] = organization_of(each.rows, links)
        each.rows.note(each.rows["organization"].isna() & each.rows["tin"].notna(), NO_LINK)
    frames = [{"organization": _organizations(every)}]
    frames += [_outreach(each) for each in parts[OUTREACH]]
    frames += [_listed(each) for each in parts[INFORMATION]]
    frames += _returned(parts[RETURN], ledger)
    found = _once(joined_frames(frames), ledger)
    if "referral" in found:
        reached = [_reached(each) for each in parts[OUTREACH]]
        found["referral"] = _with_reached(found["referral"], reached)
    layouts = tuple(folder.rglob("layout.toml"))
    every_path = (*paths, *link_paths(folder), *layouts)
    note_passed_over(folder, NAME, every_path, ledger)
    files = SourceFiles(NAME, every_path, ".csv", is_bulk=True)
    has_loop = any(each.rows["referral_status"].notna().any() for each in parts[RETURN])
    version = "with closed-loop fields" if has_loop else "without closed-loop fields"
    return PartnerTables(NAME, version, found, ledger, (files,))


def _row_paths(folder: Path) -> list[Path]:
    """Text files and workbooks of a folder in name order."""
    return [path for path in sorted(folder.iterdir()) if is_row_file(path)]


def _organizations(every: list[ExchangeRows]) -> pd.DataFrame:
    """Providers that are not in the study's own list."""
    parts = []
    for each in every:
        kept = each.rows.frame[each.rows.is_open]
        parts.append(kept[["organization", "provider", "npi"]].drop_duplicates("organization"))
    both = pd.concat(parts, ignore_index=True).dropna(subset="organization")
    own = both[both["organization"].astype(str).str.startswith(f"{NAME}:")]
    own = own.drop_duplicates("organization", ignore_index=True)
    return declared_frame(
        "organization",
        {
            "organization_id": own["organization"],
            "organization_name": own["provider"],
            "organization_type": pd.Series("unknown", index=own.index, dtype=object),
            "npi": own["npi"],
        },
    )


def _records(
    each: ExchangeRows,
    *,
    kind: str,
    day: pd.Series,
    source: str,
) -> pd.DataFrame:
    """Rows of `program_service` for the rows that have a day."""
    frame = each.rows.frame.assign(day=day)
    kept = frame[each.rows.is_open & day.notna().to_numpy()]
    days = np.datetime_as_string(kept["day"].to_numpy().astype("datetime64[D]"))
    told = pd.Series(days, index=kept.index, dtype=object)
    parts = [kept["plan"], kept["member"], kept["organization"], kept["service"], told]
    identifier = pd.Series(kind, index=kept.index, dtype=object)
    for part in parts:
        identifier = identifier + ":" + part.fillna("").astype(object)
    population = kept.get("population", pd.Series(None, index=kept.index, dtype=object))
    return declared_frame(
        "program_service",
        {
            "record_id": identifier,
            "member_id": kept["member"],
            "program": kept["service"].where(kept["service"] == "ecm", "community_support"),
            "service": kept["service"],
            "record_type": pd.Series(kind, index=kept.index, dtype=object),
            "record_date": kept["day"],
            "organization_id": kept["organization"],
            "plan": kept["plan"],
            "population_of_focus": population,
            "record_source": pd.Series(source, index=kept.index, dtype=object),
        },
    )


def _outreach(each: ExchangeRows) -> dict[str, pd.DataFrame]:
    """Attempts of an outreach tracker."""
    each.rows.used()
    day = each.days["outreach"]
    source = "outreach_tracker"
    return {"program_service": _records(each, kind="outreach", day=day, source=source)}


def _reached(each: ExchangeRows) -> pd.DataFrame:
    """Days on which an attempt reached the member."""
    rows = each.rows
    frame = pd.DataFrame(
        {
            "plan": rows["plan"],
            "member_id": rows["member"],
            "to_organization_id": rows["organization"],
            "service": rows["service"],
            "day": each.days["outreach"],
        }
    )
    is_reached = value_of(rows, "is_reached", each.layout) == "yes"
    return frame[rows.is_open & is_reached.to_numpy(dtype=bool)]


def _with_reached(referrals: pd.DataFrame, reached: list[pd.DataFrame]) -> pd.DataFrame:
    """Referrals with the first day, until they ended, on which the provider reached them."""
    if not reached:
        return referrals
    key = ["plan", "member_id", "to_organization_id", "service"]
    pairs = referrals[["referral_id", "referred_date", "closed_date", *key]].merge(
        pd.concat(reached, ignore_index=True), on=key
    )
    has_ended = pairs["closed_date"] < pairs["day"]
    pairs = pairs[(pairs["day"] >= pairs["referred_date"]) & ~has_ended]
    first = pairs.groupby("referral_id")["day"].min()
    days = first.reindex(pd.Index(referrals["referral_id"])).to_numpy()
    return referrals.assign(reached_date=days.astype("datetime64[s]"))


def _listed(each: ExchangeRows) -> dict[str, pd.DataFrame]:
    """Members a plan lists for a provider."""
    each.rows.used()
    day = each.days["listed"]
    source = "member_information_file"
    return {"program_service": _records(each, kind="identified", day=day, source=source)}


def _returned(parts: list[ExchangeRows], ledger: RowLedger) -> list[dict[str, pd.DataFrame]]:
    """Enrollments, services and referrals of return transmissions."""
    frames, enrolled, statements = [], [], []
    for each in parts:
        rows, days = each.rows, each.days
        end = days["end"].where(days["end"].notna(), days["ended"])
        rows.set_aside(end < days["start"], END_FIRST)
        status = value_of(rows, "referral_status", each.layout)
        tells = days["start"].notna() | days["served"].notna() | status.notna()
        rows.set_aside(~tells, NOTHING)
        statements.append(_statements(each, status))
        enrolled.append(_enrollments(each, end))
        rows.used()
        source = "return_transmission_file"
        day = days["served"]
        frames.append({"program_service": _records(each, kind="service", day=day, source=source)})
    if enrolled:
        frames.append({"program_enrollment": _as_last_stated(enrolled, ledger)})
    stated = pd.concat(statements, ignore_index=True) if statements else pd.DataFrame()
    if len(stated):
        referrals, remarks = fold_statements(stated)
        for remark, n_rows in remarks.items():
            ledger.note(f"{NAME} {NAMES[RETURN]}", remark, n_rows)
        frames.append({"referral": declared_frame("referral", dict(referrals.items()))})
    return frames


def _statements(each: ExchangeRows, status: pd.Series) -> pd.DataFrame:
    """What rows say of the status of a referral."""
    rows, days = each.rows, each.days
    day = days["status_day"].where(days["status_day"].notna(), days["produced"])
    has_status = status.notna()
    rows.note(has_status & days["status_day"].isna() & day.notna(), NO_STATUS_DAY)
    rows.note(has_status & day.isna(), NO_DAY_AT_ALL)
    frame = pd.DataFrame(
        {
            "plan": rows["plan"],
            "member_id": rows["member"],
            "organization_id": rows["organization"],
            "service": rows["service"],
            "day": day,
            "status": status,
            "reason": value_of(rows, "closure_reason", each.layout),
            "produced": days["produced"],
        }
    )
    return frame[rows.is_open & has_status.to_numpy() & day.notna().to_numpy()]


def _enrollments(each: ExchangeRows, end: pd.Series) -> pd.DataFrame:
    """Enrollments that rows tell of."""
    rows, days = each.rows, each.days
    is_told = rows.is_open & days["start"].notna().to_numpy()
    frame = declared_frame(
        "program_enrollment",
        {
            "member_id": rows["member"],
            "plan": rows["plan"],
            "organization_id": rows["organization"],
            "population_of_focus": rows["population"],
            "program_status": rows["program_status"],
            "program_start_date": days["start"],
            "program_end_date": end,
            "end_reason": value_of(rows, "end_reason", each.layout),
            "reported_date": days["produced"],
        },
    )
    return frame[is_told]


def _as_last_stated(parts: list[pd.DataFrame], ledger: RowLedger) -> pd.DataFrame:
    """Each enrollment once, as the latest file states it."""
    both = pd.concat(parts, ignore_index=True)
    key = ["member_id", "plan", "organization_id", "program_start_date"]
    both = both.sort_values("reported_date", kind="stable", na_position="first")
    is_older = both.duplicated(key, keep="last")
    ledger.note(f"{NAME} {NAMES[RETURN]}", OLDER_REPORT, int(is_older.sum()))
    return both[~is_older].sort_index().reset_index(drop=True)


def _once(frames: dict[str, pd.DataFrame], ledger: RowLedger) -> dict[str, pd.DataFrame]:
    """Records that monthly files repeat, once."""
    if "program_service" in frames:
        records = frames["program_service"]
        is_again = records.duplicated("record_id", keep="last")
        ledger.note(f"{NAME} records", SAME_RECORD, int(is_again.sum()))
        frames["program_service"] = records[~is_again].reset_index(drop=True)
    return frames
