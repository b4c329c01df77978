"""The panel's core measures in straightforward Polars: the same rules, lazily, all members at once.

Results are compared with the package's before the time is (`panel_against.py`). Days are whole
numbers, as Polars handles them fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from panel_in_pandas import (
    CLAIM_COLUMNS,
    CLINIC_PLACES,
    CLINIC_REVENUE,
    INPATIENT_BILL,
    NO_DUAL,
    OFFICE,
    PROCEDURE_ED,
    REVENUE_ED,
    ROOM,
)

FAR = 10**6


def build(folder: Path, first_month: str, last_month: str) -> pl.DataFrame:
    """Member months with the core measures: `member_id`, `month`, five measures."""
    calendar = months_of(first_month, last_month)
    months = covered_months(folder, calendar)
    # Lines are used five times: hold them once, narrow and typed.
    lines = final_lines(folder).collect(engine="streaming").lazy()
    stays = hospital_stays(lines).collect().lazy()
    episodes = merge_transfers(stays).collect().lazy()
    counted = {
        "ed_visits": count(ed_visits(lines, stays), "day"),
        "inpatient_stays": count(episodes, "admit"),
        "inpatient_days": nights(episodes, calendar),
        "outpatient_visits": count(outpatient_visits(lines), "day"),
        "paid_usd": lines.group_by("member_id", "month").agg(n=pl.col("paid_amount").sum()),
    }
    for name, values in counted.items():
        months = months.join(
            values.select("member_id", "month", pl.col("n").alias(name)),
            on=["member_id", "month"],
            how="left",
        )
    filled = months.with_columns(pl.col(list(counted)).fill_null(0))
    return filled.sort("member_id", "month").collect(engine="streaming")


def months_of(first_month: str, last_month: str) -> pl.DataFrame:
    """Months of the window: number, first and last day."""
    ends = [pl.lit(f"{each}-01").str.to_date() for each in (first_month, last_month)]
    starts = pl.select(first=pl.date_range(*ends, interval="1mo"))
    return starts.select(
        month=month_number(pl.col("first")),
        first_day=day_number(pl.col("first")),
        last_day=day_number(pl.col("first").dt.month_end()),
    )


def day_number(date: pl.Expr) -> pl.Expr:
    """Days since 1970-01-01."""
    return date.dt.epoch("d").cast(pl.Int32)


def month_number(date: pl.Expr) -> pl.Expr:
    """Months since year 0."""
    return date.dt.year() * 12 + date.dt.month().cast(pl.Int32) - 1


def month_of(day: pl.Expr) -> pl.Expr:
    """Month of a day number."""
    return month_number(day.cast(pl.Date))


def read(folder: Path, table: str, columns: Sequence[str]) -> pl.LazyFrame:
    """A table, all its parts."""
    return pl.scan_parquet(sorted((folder / table).glob("part-*.parquet"))).select(columns)


def covered_months(folder: Path, calendar: pl.DataFrame) -> pl.LazyFrame:
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
    first_day, last_day = calendar["first_day"].min(), calendar["last_day"].max()
    start, end = (
        day_number(pl.col("enrollment_start_date")),
        day_number(pl.col("enrollment_end_date")).fill_null(FAR),
    )
    birth, death = day_number(pl.col("birth_date")), day_number(pl.col("death_date"))
    payer = pl.col("payer_type").fill_null("medicaid")
    told = spans.join(person, on="member_id", how="left").select(
        "member_id",
        payer=payer,
        low=pl.max_horizontal(start, birth),
        high=pl.min_horizontal(end, death, pl.lit(last_day)),
        counts=(payer == "medicaid")
        & (pl.col("benefit_scope").fill_null("full") == "full")
        & ~(start > death).fill_null(value=False)
        & ~(end < birth).fill_null(value=False),
        dual=~pl.col("dual_status_code").fill_null("").is_in(NO_DUAL),
    )
    real = told.filter(pl.col("low") <= pl.col("high"))
    counted = real.filter(pl.col("counts") & (pl.col("high") >= first_day))
    key = ["member_id", "month"]
    months = explode(counted, calendar).group_by(key).agg(pl.col("dual").max())
    medicare = explode(real.filter(pl.col("payer") == "medicare"), calendar)
    kept = months.filter(~pl.col("dual")).select(key)
    return kept.join(medicare.select(key).unique(), on=key, how="anti")


def explode(spans: pl.LazyFrame, calendar: pl.DataFrame) -> pl.LazyFrame:
    """One row per span and month of the window it touches, with the month's days."""
    low = month_of(pl.col("low")).clip(lower_bound=calendar["month"].min())
    high = month_of(pl.col("high")).clip(upper_bound=calendar["month"].max())
    listed = spans.with_columns(month=pl.int_ranges(low, high + 1, dtype=pl.Int32))
    return listed.filter(pl.col("month").list.len() > 0).explode("month")


def matches(column: str, pattern: str) -> pl.Expr:
    """Whether a code matches; false where there is none."""
    return pl.col(column).str.contains(pattern).fill_null(value=False)


def final_lines(folder: Path) -> pl.LazyFrame:
    """Lines that count: voids, replacements and denials settled."""
    plain = pl.col("bill_type_code").str.replace("^0", "")
    recorded = pl.col("claim_status").fill_null("original")
    frequency = pl.col("frequency")
    lines = (
        read(folder, "medical_claim", CLAIM_COLUMNS)
        .with_columns(bill=plain.str.slice(0, 2), frequency=plain.str.slice(2, 1).fill_null(""))
        .with_columns(
            status=pl.when(recorded == "denied")
            .then(pl.lit("denied"))
            .when((recorded == "void") | (frequency == "8"))
            .then(pl.lit("void"))
            .when((recorded == "replacement") | (frequency == "7"))
            .then(pl.lit("replacement"))
            .otherwise(pl.lit("original"))
        )
    )
    acting = lines.filter(pl.col("status").is_in(["void", "replacement"]))
    actions = (
        acting.group_by("claim_id", "status", target=pl.coalesce("original_claim_id", "claim_id"))
        .agg(pl.col("paid_date").max())
        .collect(engine="streaming")
    )
    whole, original_only = out_of_date(actions)
    day = pl.coalesce("claim_line_start_date", "claim_start_date")
    has_form = pl.col("bill_type_code").is_not_null() | pl.col("revenue_center_code").is_not_null()
    guessed = pl.when(has_form).then(pl.lit("institutional")).otherwise(pl.lit("professional"))
    form = pl.coalesce("claim_type", guessed)
    is_original = pl.col("status") == "original"
    return (
        lines.filter(~pl.col("status").is_in(["denied", "void"]))
        .join(whole.lazy(), on="claim_id", how="anti")
        .join(original_only.lazy(), on="claim_id", how="left")
        .filter(pl.col("is_within").is_null() | ~is_original)
        .select(
            "member_id",
            "claim_id",
            "bill",
            "bill_type_code",
            "revenue_center_code",
            "hcpcs_code",
            "place_of_service_code",
            "drg_code",
            "discharge_disposition_code",
            "facility_npi",
            "rendering_npi",
            "paid_amount",
            day=day_number(day),
            month=month_number(day),
            start=day_number(pl.coalesce("admission_date", "claim_start_date")),
            end=day_number(
                pl.coalesce(
                    "discharge_date", "claim_end_date", "admission_date", "claim_start_date"
                )
            ),
            institutional=form == "institutional",
            professional=form == "professional",
        )
    )


def out_of_date(actions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Claims that do not count at all, and those of which original lines do not."""
    voids = actions.filter(pl.col("status") == "void").select(claim_id="target")
    replacing = actions.filter(pl.col("status") == "replacement")
    within = replacing.filter(pl.col("target") == pl.col("claim_id"))
    others = replacing.filter(pl.col("target") != pl.col("claim_id")).sort(
        "target", "paid_date", "claim_id", descending=[False, True, True], nulls_last=True
    )
    earlier = others.filter(~pl.col("target").is_first_distinct()).select("claim_id")
    whole = pl.concat([voids, others.select(claim_id="target"), earlier]).unique()
    return whole, within.select(claim_id="target", is_within=pl.lit(value=True)).unique("claim_id")


def islands(rows: pl.LazyFrame, by: list[str], order: list[str]) -> pl.LazyFrame:
    """Rows sorted by `by` and `order` (start, reach, ties), with the number of their island."""
    start, reach = order[:2]
    before = pl.col(reach).cum_max().shift().over(by)
    begins = before.is_null() | (pl.col(start) > before)
    return (
        rows.sort(*by, *order)
        .with_columns(begins=begins.cast(pl.Int32))
        .with_columns(island=pl.col("begins").cum_sum().over(by))
    )


def hospital_stays(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Stays at one facility."""
    is_inpatient = pl.col("institutional") & matches("bill_type_code", INPATIENT_BILL)
    evidence = matches("revenue_center_code", ROOM) | matches("drg_code", "^[0-9]{3,4}$")
    claims = (
        lines.filter(is_inpatient)
        .group_by("member_id", "claim_id")
        .agg(
            facility=pl.coalesce(
                pl.col("facility_npi").min(), pl.col("rendering_npi").min(), pl.lit("")
            ),
            admit=pl.col("start").min(),
            discharge=pl.max_horizontal(pl.col("end").max(), pl.col("start").min()),
            is_interim=(pl.col("discharge_disposition_code").max() == "30").fill_null(value=False),
            evidence=evidence.any(),
        )
        .filter(pl.col("evidence"))
        .with_columns(reach=pl.col("discharge") + pl.col("is_interim").cast(pl.Int32))
    )
    key = ["member_id", "facility"]
    numbered = islands(claims, key, ["admit", "reach", "claim_id"])
    return numbered.group_by(*key, "island").agg(pl.col("admit").min(), pl.col("discharge").max())


def merge_transfers(stays: pl.LazyFrame) -> pl.LazyFrame:
    """Stays merged with those that follow elsewhere within a day."""
    last = pl.col("discharge").cum_max().shift().over("member_id")
    last_here = pl.col("discharge").cum_max().shift().over("member_id", "facility")
    is_elsewhere = pl.col("last_here").is_null() | (pl.col("last_here") < pl.col("last"))
    continues = (pl.col("admit") <= pl.col("last")) | (
        (pl.col("admit") <= pl.col("last") + 1) & is_elsewhere
    )
    begins = (~continues.fill_null(value=False)).cast(pl.Int32)
    return (
        stays.sort("member_id", "admit", "discharge", "facility")
        .with_columns(last=last, last_here=last_here)
        .with_columns(episode=begins.cum_sum().over("member_id"))
        .group_by("member_id", "episode")
        .agg(pl.col("admit").min(), pl.col("discharge").max())
    )


def nights(episodes: pl.LazyFrame, calendar: pl.DataFrame) -> pl.LazyFrame:
    """Nights by month; a stay within a day counts one."""
    spans = episodes.select(
        "member_id",
        low="admit",
        high=pl.max_horizontal(pl.col("discharge") - 1, pl.col("admit")),
    )
    pieces = explode(spans, calendar).join(calendar.lazy(), on="month")
    n = pl.min_horizontal("high", "last_day") - pl.max_horizontal("low", "first_day") + 1
    return pieces.group_by("member_id", "month").agg(n=n.sum())


def ed_visits(lines: pl.LazyFrame, stays: pl.LazyFrame) -> pl.LazyFrame:
    """First day of each emergency visit."""
    procedure = matches("hcpcs_code", PROCEDURE_ED)
    is_bill = pl.col("bill").is_in(["13", "14", "85"]) | pl.col("bill").is_null()
    is_emergency = matches("revenue_center_code", REVENUE_ED) | procedure
    is_inpatient = matches("bill_type_code", INPATIENT_BILL)
    of_facility = lines.filter(pl.col("institutional") & ~is_inpatient & is_bill & is_emergency)
    facility = facility_visits(of_facility).collect().lazy()
    is_here = (pl.col("place_of_service_code") == "23").fill_null(value=False) | procedure
    days = lines.filter(pl.col("professional") & is_here).select("member_id", "day").unique()
    spans = pl.concat(
        [
            facility.select("member_id", low=pl.col("day") - 1, high=pl.col("last") + 1),
            stays.select("member_id", low=pl.col("admit") - 1, high=pl.col("discharge")),
        ]
    )
    covered = days.join(spans, on="member_id").filter(
        pl.col("day").is_between(pl.col("low"), pl.col("high"))
    )
    left = days.join(covered.select("member_id", "day"), on=["member_id", "day"], how="anti")
    alone = anchored(left, ["member_id"]).select("member_id", day="event").unique()
    return pl.concat([facility.select("member_id", "day"), alone])


def facility_visits(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Visits from facility lines, with first and last day."""
    days = lines.select(
        "member_id",
        "claim_id",
        "day",
        facility=pl.coalesce("facility_npi", "rendering_npi", pl.lit("")),
    ).unique()
    key = ["member_id", "facility", "claim_id"]
    numbered = islands(days.with_columns(reach=pl.col("day") + 1), key, ["day", "reach"])
    pieces = numbered.group_by(*key, "island").agg(
        last=pl.col("day").max(), day=pl.col("day").min()
    )
    starts = pieces.group_by("member_id", "facility", "day").agg(pl.col("last").max())
    joined = anchored(starts, ["member_id", "facility"])
    return joined.group_by("member_id", "facility", day="event").agg(pl.col("last").max())


def anchored(days: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """First day of the event of each day: blocks of two within a run of days."""
    numbered = islands(days.with_columns(reach=pl.col("day") + 1), by, ["day", "reach"])
    first = pl.col("day").min().over(*by, "island")
    return numbered.with_columns(event=first + (pl.col("day") - first) // 2 * 2)


def outpatient_visits(lines: pl.LazyFrame) -> pl.LazyFrame:
    """One row per visit: member, provider, day."""
    place = pl.col("place_of_service_code")
    office = (
        pl.col("professional")
        & matches("hcpcs_code", OFFICE)
        & ~place.is_in(["21", "23"]).fill_null(value=False)
    )
    is_bill = pl.col("institutional") & pl.col("bill").is_in(["13", "71", "73", "77"])
    is_clinic = matches("hcpcs_code", "^T1015$") | (
        is_bill.fill_null(value=False) & matches("revenue_center_code", CLINIC_REVENUE)
    )
    seen = (
        lines.filter(office | is_clinic)
        .with_columns(clinic=is_clinic.any().over("member_id", "claim_id", "day"))
        .with_columns(
            provider=pl.when(pl.col("clinic"))
            .then(pl.coalesce("facility_npi", "rendering_npi", pl.lit("")))
            .otherwise(pl.coalesce("rendering_npi", "facility_npi", pl.lit(""))),
            is_half=~pl.col("clinic") & place.is_in(CLINIC_PLACES).fill_null(value=False),
        )
    )
    key = ["member_id", "provider", "day"]
    billed = seen.filter(pl.col("clinic") & pl.col("institutional")).select("member_id", "day")
    halves = seen.filter("is_half").join(billed, on=["member_id", "day"], how="anti")
    return pl.concat([seen.filter(~pl.col("is_half")).select(key), halves.select(key)]).unique()


def count(rows: pl.LazyFrame, day: str) -> pl.LazyFrame:
    """Rows by member and month."""
    return rows.group_by("member_id", month=month_of(pl.col(day))).agg(n=pl.len())
