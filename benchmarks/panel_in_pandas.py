"""The panel's core measures in straightforward pandas: the same rules, all members at once.

Written as an analyst would: read the columns needed, filter, sort, group, merge. Its results are
compared with the package's before its time is (`panel_against.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NO_DUAL = ["", "00", "0", "99", "NA", "N"]
REVENUE_ED = r"^(?:045[0-24-59]|0981)$"
PROCEDURE_ED = r"^(?:9928[1-5]|G038[0-4])$"
INPATIENT_BILL = r"^0?11[0-9]?$"
ROOM = r"^(?:01[0-7][0-9]|020[0-9]|021[0-9])$"
OFFICE = r"^(?:9920[2-5]|9921[1-5])$"
CLINIC_REVENUE = r"^05(?:1[0-9]|2[0-9])$"
CLINIC_PLACES = ["19", "22", "49", "50", "71", "72"]
CLAIM_COLUMNS = [
    "member_id",
    "claim_id",
    "claim_type",
    "claim_status",
    "original_claim_id",
    "bill_type_code",
    "revenue_center_code",
    "hcpcs_code",
    "place_of_service_code",
    "drg_code",
    "discharge_disposition_code",
    "facility_npi",
    "rendering_npi",
    "claim_start_date",
    "claim_end_date",
    "claim_line_start_date",
    "admission_date",
    "discharge_date",
    "paid_date",
    "paid_amount",
]


def build(folder: Path, first_month: str, last_month: str) -> pd.DataFrame:
    """Member months with the core measures: `member_id`, `month`, five measures."""
    first, last = pd.Period(first_month, "M"), pd.Period(last_month, "M")
    months = covered_months(folder, first, last)
    lines = final_lines(folder)
    stays = hospital_stays(lines)
    episodes = merge_transfers(stays)
    counted = {
        "ed_visits": count(ed_visits(lines, stays), "day"),
        "inpatient_stays": count(episodes, "admit"),
        "inpatient_days": nights(episodes, first, last),
        "outpatient_visits": count(outpatient_visits(lines), "day"),
        "paid_usd": lines.groupby(["member_id", "month"], observed=True)["paid_amount"].sum(),
    }
    for name, values in counted.items():
        months = months.join(values.rename(name), on=["member_id", "month"])
    return months.fillna(dict.fromkeys(counted, 0)).sort_values(["member_id", "month"])


def read(folder: Path, table: str, columns: Sequence[str]) -> pd.DataFrame:
    """A table, all its parts."""
    parts = sorted((folder / table).glob("part-*.parquet"))
    read_parts = [pq.read_table(part, columns=list(columns)) for part in parts]
    table_ = pa.concat_tables(read_parts, promote_options="default")
    return table_.to_pandas(date_as_object=False)


def month_number(day: pd.Series) -> pd.Series:
    """Months since year 0."""
    return day.dt.year * 12 + day.dt.month - 1


def covered_months(folder: Path, first: pd.Period, last: pd.Period) -> pd.DataFrame:
    """Members' months with a covered day and no Medicare."""
    spans = read(
        folder,
        "eligibility",
        [
            "member_id",
            "enrollment_start_date",
            "enrollment_end_date",
            "payer_type",
            "benefit_scope",
            "dual_status_code",
        ],
    )
    person = read(folder, "person", ["member_id", "birth_date", "death_date"])
    spans = spans.merge(person, on="member_id", how="left")
    start, end = spans["enrollment_start_date"], spans["enrollment_end_date"]
    window_end = last.end_time.normalize()
    spans["from"] = pd.concat([start, spans["birth_date"]], axis=1).max(axis=1)
    spans["to"] = pd.concat([end, spans["death_date"]], axis=1).min(axis=1).fillna(window_end)
    spans["to"] = spans["to"].clip(upper=window_end)
    payer = spans["payer_type"].fillna("medicaid")
    is_empty = (spans["to"] < first.start_time) | (spans["from"] > spans["to"])
    counts = (
        (payer == "medicaid")
        & (spans["benefit_scope"].fillna("full") == "full")
        & ~(start > spans["death_date"])
        & ~(end < spans["birth_date"])
        & ~is_empty
    )
    spans["dual"] = ~spans["dual_status_code"].fillna("").isin(NO_DUAL)
    covered = explode(spans[counts], first, last)
    medicare = explode(spans[(payer == "medicare") & (spans["from"] <= spans["to"])], first, last)
    months = covered.groupby(["member_id", "month"], as_index=False)["dual"].max()
    also = medicare[["member_id", "month"]].drop_duplicates().assign(medicare=True)
    months = months.merge(also, on=["member_id", "month"], how="left")
    return months.loc[~months["dual"] & months["medicare"].isna(), ["member_id", "month"]]


def explode(spans: pd.DataFrame, first: pd.Period, last: pd.Period) -> pd.DataFrame:
    """One row per span and month of the window it touches."""
    low = first.year * 12 + first.month - 1
    high = last.year * 12 + last.month - 1
    begin = month_number(spans["from"]).clip(lower=low).to_numpy()
    end = month_number(spans["to"]).clip(upper=high).to_numpy()
    n = np.maximum(end - begin + 1, 0)
    row = np.repeat(np.arange(len(spans)), n)
    step = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    months = spans[["member_id", "dual"]].iloc[row].reset_index(drop=True)
    return months.assign(month=begin[row] + step)


def final_lines(folder: Path) -> pd.DataFrame:
    """Lines that count: voids, replacements and denials settled."""
    lines = read(folder, "medical_claim", CLAIM_COLUMNS)
    plain = lines["bill_type_code"].str.replace("^0", "", regex=True)
    lines["bill"] = plain.str[:2]
    frequency = plain.str[2:3].fillna("")
    recorded = lines["claim_status"].fillna("original")
    lines["status"] = np.select(
        [
            recorded == "denied",
            (recorded == "void") | (frequency == "8"),
            (recorded == "replacement") | (frequency == "7"),
        ],
        ["denied", "void", "replacement"],
        "original",
    )
    lines = lines[~superseded(lines)]
    lines["day"] = lines["claim_line_start_date"].fillna(lines["claim_start_date"])
    lines["month"] = month_number(lines["day"])
    has_form = lines["bill_type_code"].notna() | lines["revenue_center_code"].notna()
    form = lines["claim_type"].fillna(
        pd.Series(np.where(has_form, "institutional", "professional"), lines.index)
    )
    lines["institutional"] = form == "institutional"
    lines["professional"] = form == "professional"
    return lines


def superseded(lines: pd.DataFrame) -> pd.Series:
    """Whether a line does not count."""
    acting = lines[lines["status"].isin(["void", "replacement"])]
    acting = acting.assign(target=acting["original_claim_id"].fillna(acting["claim_id"]))
    actions = acting.groupby(["claim_id", "target", "status"], as_index=False)["paid_date"].max()
    voids = actions[actions["status"] == "void"]
    replacing = actions[actions["status"] == "replacement"]
    is_within = replacing["target"] == replacing["claim_id"]
    others = replacing[~is_within].sort_values(
        ["target", "paid_date", "claim_id"], ascending=[True, False, False], na_position="last"
    )
    earlier = others[others.duplicated("target")]
    replaced = pd.concat([others["target"], earlier["claim_id"]])
    is_original = lines["status"] == "original"
    return (
        lines["status"].isin(["denied", "void"])
        | lines["claim_id"].isin(voids["target"])
        | lines["claim_id"].isin(replaced)
        | (lines["claim_id"].isin(replacing.loc[is_within, "target"]) & is_original)
    )


def matches(codes: pd.Series, pattern: str) -> pd.Series:
    """Whether a code matches; false where there is none."""
    return codes.str.match(pattern, na=False)


def islands(rows: pd.DataFrame, by: list[str], order: list[str]) -> pd.DataFrame:
    """Rows sorted by `by` and `order` (start, reach, ties), with the number of their island."""
    start, reach = order[:2]
    rows = rows.sort_values([*by, *order])
    key = rows.groupby(by, sort=False)
    before = key[reach].cummax().groupby([rows[name] for name in by], sort=False).shift()
    begins = (before.isna() | (rows[start] > before)).astype(int)
    return rows.assign(island=begins.groupby([rows[name] for name in by], sort=False).cumsum())


def hospital_stays(lines: pd.DataFrame) -> pd.DataFrame:
    """Stays at one facility."""
    inpatient = lines[lines["institutional"] & matches(lines["bill_type_code"], INPATIENT_BILL)]
    drg = matches(inpatient["drg_code"], r"^[0-9]{3,4}$")
    inpatient = inpatient.assign(
        start=inpatient["admission_date"].fillna(inpatient["claim_start_date"]),
        evidence=matches(inpatient["revenue_center_code"], ROOM) | drg,
    )
    inpatient["end"] = (
        inpatient["discharge_date"].fillna(inpatient["claim_end_date"]).fillna(inpatient["start"])
    )
    claims = inpatient.groupby(["member_id", "claim_id"], as_index=False).agg(
        facility=("facility_npi", "min"),
        rendering=("rendering_npi", "min"),
        admit=("start", "min"),
        discharge=("end", "max"),
        disposition=("discharge_disposition_code", "max"),
        evidence=("evidence", "max"),
    )
    claims = claims[claims["evidence"]]
    claims["facility"] = claims["facility"].fillna(claims["rendering"]).fillna("")
    claims["discharge"] = claims[["discharge", "admit"]].max(axis=1)
    is_interim = (claims["disposition"] == "30").astype(int)
    claims["reach"] = claims["discharge"] + pd.to_timedelta(is_interim, unit="D")
    key = ["member_id", "facility"]
    numbered = islands(claims, key, ["admit", "reach", "claim_id"])
    return numbered.groupby([*key, "island"], as_index=False).agg(
        admit=("admit", "min"), discharge=("discharge", "max")
    )


def merge_transfers(stays: pd.DataFrame) -> pd.DataFrame:
    """Stays merged with those that follow elsewhere within a day."""
    stays = stays.sort_values(["member_id", "admit", "discharge", "facility"])
    running = stays.groupby("member_id")["discharge"].cummax()
    here = stays.groupby(["member_id", "facility"])["discharge"].cummax()
    last = running.groupby(stays["member_id"]).shift()
    last_here = here.groupby([stays["member_id"], stays["facility"]]).shift()
    is_elsewhere = last_here.isna() | (last_here < last)
    is_near = stays["admit"] <= last + pd.Timedelta(days=1)
    continues = (stays["admit"] <= last) | (is_near & is_elsewhere)
    stays["episode"] = (~continues).astype(int).groupby(stays["member_id"]).cumsum()
    return stays.groupby(["member_id", "episode"], as_index=False).agg(
        admit=("admit", "min"), discharge=("discharge", "max")
    )


def nights(episodes: pd.DataFrame, first: pd.Period, last: pd.Period) -> pd.Series:
    """Nights by month; a stay within a day counts one."""
    day = pd.Timedelta(days=1)
    spans = episodes.assign(dual=False)
    spans["from"] = spans["admit"]
    spans["to"] = pd.concat([spans["discharge"] - day, spans["admit"]], axis=1).max(axis=1)
    spans["row"] = np.arange(len(spans))
    pieces = explode(spans.rename(columns={"row": "dual", "dual": "_"}), first, last)
    dates = spans[["from", "to"]].iloc[pieces["dual"]].reset_index(drop=True)
    year, month = pieces["month"] // 12, pieces["month"] % 12 + 1
    begin = pd.to_datetime({"year": year, "month": month, "day": 1})
    end = begin + pd.offsets.MonthEnd(0)
    inside = dates["to"].clip(upper=end) - dates["from"].clip(lower=begin)
    pieces["n"] = inside.dt.days + 1
    return pieces.groupby(["member_id", "month"])["n"].sum()


def ed_visits(lines: pd.DataFrame, stays: pd.DataFrame) -> pd.DataFrame:
    """First day of each emergency visit."""
    procedure = matches(lines["hcpcs_code"], PROCEDURE_ED)
    is_bill = lines["bill"].isin(["13", "14", "85"]) | lines["bill"].isna()
    is_inpatient = matches(lines["bill_type_code"], INPATIENT_BILL)
    is_emergency = matches(lines["revenue_center_code"], REVENUE_ED) | procedure
    of_facility = lines[lines["institutional"] & ~is_inpatient & is_bill & is_emergency]
    facility = facility_visits(of_facility)
    is_here = (lines["place_of_service_code"] == "23") | procedure
    days = lines.loc[lines["professional"] & is_here, ["member_id", "day"]].drop_duplicates()
    day = pd.Timedelta(days=1)
    days = without(days, facility.assign(low=facility["day"] - day, high=facility["last"] + day))
    days = without(days, stays.assign(low=stays["admit"] - day, high=stays["discharge"]))
    alone = anchored(days, ["member_id"])[["member_id", "event"]].drop_duplicates()
    return pd.concat(
        [facility[["member_id", "day"]], alone.rename(columns={"event": "day"})], ignore_index=True
    )


def facility_visits(lines: pd.DataFrame) -> pd.DataFrame:
    """Visits from facility lines, with first and last day."""
    facility = lines["facility_npi"].fillna(lines["rendering_npi"]).fillna("")
    days = lines.assign(facility=facility)[["member_id", "facility", "claim_id", "day"]]
    days = days.drop_duplicates()
    days["reach"] = days["day"] + pd.Timedelta(days=1)
    key = ["member_id", "facility", "claim_id"]
    numbered = islands(days, key, ["day", "reach"])
    pieces = numbered.groupby([*key, "island"], as_index=False).agg(
        day=("day", "min"), last=("day", "max")
    )
    starts = pieces.groupby(["member_id", "facility", "day"], as_index=False)["last"].max()
    joined = anchored(starts, ["member_id", "facility"])
    visits = joined.groupby(["member_id", "facility", "event"], as_index=False)["last"].max()
    return visits.rename(columns={"event": "day"})


def anchored(days: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """First day of the event of each day: blocks of two within a run of days."""
    numbered = islands(days.assign(reach=days["day"] + pd.Timedelta(days=1)), by, ["day", "reach"])
    first = numbered.groupby([*by, "island"])["day"].transform("min")
    block = (numbered["day"] - first).dt.days // 2
    return numbered.assign(event=first + pd.to_timedelta(block * 2, unit="D"))


def without(days: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Days that no span of the member covers."""
    joined = days.merge(spans[["member_id", "low", "high"]], on="member_id")
    covered = joined[joined["day"].between(joined["low"], joined["high"])]
    marked = days.merge(
        covered[["member_id", "day"]].drop_duplicates(),
        on=["member_id", "day"],
        how="left",
        indicator=True,
    )
    return marked.loc[marked["_merge"] == "left_only", ["member_id", "day"]]


def outpatient_visits(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per visit: member, provider, day."""
    office = (
        lines["professional"]
        & matches(lines["hcpcs_code"], OFFICE)
        & ~lines["place_of_service_code"].isin(["21", "23"])
    )
    is_bill = lines["institutional"] & lines["bill"].isin(["13", "71", "73", "77"])
    clinic_line = (lines["hcpcs_code"] == "T1015") | (
        is_bill & matches(lines["revenue_center_code"], CLINIC_REVENUE)
    )
    seen = lines[office | clinic_line].assign(clinic_line=clinic_line)
    claim_day = ["member_id", "claim_id", "day"]
    seen["clinic"] = seen.groupby(claim_day)["clinic_line"].transform("max")
    clinic_first = seen["facility_npi"].fillna(seen["rendering_npi"]).fillna("")
    person_first = seen["rendering_npi"].fillna(seen["facility_npi"]).fillna("")
    seen["provider"] = np.where(seen["clinic"], clinic_first, person_first)
    billed = seen.loc[seen["clinic"] & seen["institutional"], ["member_id", "day"]]
    is_half = ~seen["clinic"] & seen["place_of_service_code"].isin(CLINIC_PLACES)
    halves = seen[is_half].merge(
        billed.drop_duplicates(), on=["member_id", "day"], how="left", indicator=True
    )
    key = ["member_id", "provider", "day"]
    kept = halves.loc[halves["_merge"] == "left_only", key]
    return pd.concat([seen.loc[~is_half, key], kept]).drop_duplicates()


def count(rows: pd.DataFrame, day: str) -> pd.Series:
    """Rows by member and month."""
    return rows.groupby(["member_id", month_number(rows[day]).rename("month")]).size()
