"""Results of a made-up quarter with realistic values and a few small groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.integration import network_tables, survey_network_tables
from calaim_eval.results import ALL, BoundsTable, EffectTable, Estimand, Method, RateTable, Result
from calaim_eval.schema.codes import load_codes
from calaim_eval.simulate import simulate_referral_network
from tests.unit.report.access_tables import made_up_times, standardized
from tests.unit.report.equity_tables import gaps, spreads
from tests.unit.report.partner_tables import plan_results, survey_results
from tests.unit.report.second_answers import second_answers

GROUP_SIZES = {
    "aian": 84,
    "asian": 1702,
    "asian_pi_unsplit": 211,
    "black": 1496,
    "hispanic": 10004,
    "mena": 38,
    "multiple": 402,
    "nhpi": 77,
    "other": 305,
    "white": 3302,
    "declined": 318,
    "unknown": 2061,
}
UNITS = {
    "ed_visits": "ED visits per 1,000 member-months",
    "inpatient_stays": "hospital stays per 1,000 member-months",
    "inpatient_days": "hospital days per 1,000 member-months",
    "readmissions_30d": "readmissions per 1,000 member-months",
    "outpatient_visits": "outpatient visits per 1,000 member-months",
    "ambulance_trips": "ambulance trips per 1,000 member-months",
    "paid_usd": "USD per member-month",
    "jail_days": "jail days per 1,000 member-months",
}
BASELINE = {
    "ed_visits": 212.0,
    "inpatient_stays": 31.0,
    "inpatient_days": 148.0,
    "readmissions_30d": 6.1,
    "outpatient_visits": 480.0,
    "ambulance_trips": 44.0,
    "paid_usd": 1350.0,
    "jail_days": 61.0,
}
EFFECT = {
    "ed_visits": (-28.4, 4.9),
    "inpatient_stays": (-3.1, 1.2),
    "inpatient_days": (-11.0, 7.4),
    "readmissions_30d": (-0.4, 0.5),
    "outpatient_visits": (62.0, 11.0),
    "ambulance_trips": (-6.2, 1.9),
    "paid_usd": (-41.0, 55.0),
    "jail_days": (-2.0, 4.1),
}
_DID = Method(
    "Group-time difference-in-differences",
    {"comparison": "not_yet_exposed"},
    "doi:10.1016/j.jeconom.2020.12.001",
)
_WILSON = Method("Wilson interval", {}, "doi:10.1080/01621459.1927.10502953")


def proportions(
    measure: str,
    keys: pd.DataFrame,
    numerator: list[float],
    denominator: list[float],
    names: tuple[str, str],
    **options: object,
) -> RateTable:
    """Shares with rough Wilson intervals."""
    n, d = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    p = n / np.where(d > 0, d, np.nan)
    half = 1.96 * np.sqrt(p * (1 - p) / d)
    return RateTable(
        measure=measure,
        keys=keys.reset_index(drop=True),
        numerator=n,
        denominator=d,
        conf_low=np.clip(p - half, 0, 1),
        conf_high=np.clip(p + half, 0, 1),
        n_members=n.copy(),
        numerator_name=names[0],
        denominator_name=names[1],
        unit=f"share of {names[1].replace('_', ' ')}",
        kind="proportion",
        method=_WILSON,
        **options,  # type: ignore[arg-type]
    )


def effects(
    keys: pd.DataFrame,
    estimate: list[float],
    std_error: list[float],
    n_members: list[float],
    *,
    name: str = "ATT",
    is_causal: bool = True,
) -> EffectTable:
    """Effects with independent errors; events are twice the members."""
    members = np.asarray(n_members, dtype=float)
    return EffectTable(
        keys=keys.reset_index(drop=True),
        estimate=np.asarray(estimate, dtype=float),
        covariance=np.diag(np.asarray(std_error, dtype=float) ** 2),
        support=pd.DataFrame(
            {"n_members": members, "n_events": members * 2, "member_months": members * 12}
        ),
        estimand=Estimand(
            name,
            "members served minus what they would have had",
            "see `unit`",
            is_causal=is_causal,
        ),
        method=_DID,
        notes=(
            "214 of 3,120 members were set aside: no comparison member in their cell",
            "`ed_visits`: break in 2022-05.",
            "`jail_days`: break in 2022-05.",
            "Cohorts set aside: asian 3 cohorts; white 2 cohorts.",
        ),
    )


def _by_group(share: float, sizes: dict[str, int]) -> dict[str, int]:
    counts = {g: round(n * share) for g, n in sizes.items()}
    return {**counts, ALL: sum(counts.values())}


def _staged(
    first: str, shares: dict[str, float], key: str, sizes: dict[str, int]
) -> tuple[pd.DataFrame, list[float], list[float]]:
    """Rows of a funnel: groups by stages, all members as the sum of the groups."""
    base = {**sizes, ALL: sum(sizes.values())}
    tilt = {"asian": 0.75, "black": 1.05, "hispanic": 0.9, "white": 1.1, "aian": 0.8}
    rows, top, bottom = [], [], []
    for stage, share in {first: 1.0, **shares}.items():
        counts = {
            g: round(n * share * (tilt.get(g, 1.0) if share < 1 else 1)) for g, n in sizes.items()
        }
        counts[ALL] = sum(counts.values())
        for group, n in counts.items():
            rows.append({"race_ethnicity": group, key: stage})
            top.append(n)
            bottom.append(base[group])
    return pd.DataFrame(rows), top, bottom


def _reported_ties() -> pd.DataFrame:
    """Two waves of a survey of 20 organizations, of which three never answer."""
    rng = np.random.default_rng(9)
    rows = [
        (wave, f"o{a:02d}", f"o{b:02d}", kind)
        for wave in ("2023-07-01", "2024-07-01")
        for kind in ("referral", "data")
        for a in range(17)
        for b in range(20)
        if a != b and rng.random() < 0.2
    ]
    columns = ["wave_date", "from_organization_id", "to_organization_id", "tie_type"]
    return pd.DataFrame(rows, columns=columns)


def make_results() -> dict[str, Result]:
    """Every item of a quarterly release, with the keys the report documents."""
    rng = np.random.default_rng(7)
    out: dict[str, Result] = {}
    everyone = _by_group(1.0, GROUP_SIZES)
    out["members_by_group"] = proportions(
        "Members",
        pd.DataFrame({"race_ethnicity": list(everyone)}),
        list(everyone.values()),
        [everyone[ALL]] * len(everyone),
        ("members", "all_members"),
        margins=("race_ethnicity",),
    )
    out["row_ledger"] = _row_ledger()
    identified = {g: round(n * 0.14) for g, n in GROUP_SIZES.items()}
    keys, top, bottom = _staged(
        "identified", {"outreached": 0.71, "served": 0.44, "cbo_served": 0.17}, "stage", identified
    )
    out["access_funnel"] = proportions(
        "Access funnel",
        keys,
        top,
        bottom,
        ("members_reaching_stage", "members_identified"),
        margins=("race_ethnicity",),
    )
    referrals = {g: round(n * 0.21) for g, n in GROUP_SIZES.items()}
    keys, top, bottom = _staged(
        "referred",
        {"authorized": 0.83, "accepted": 0.71, "reached": 0.58, "started": 0.47, "closed": 0.39},
        "step",
        referrals,
    )
    out["referral_funnel"] = proportions(
        "Referral steps",
        keys,
        top,
        bottom,
        ("referrals_reaching_step", "root_referrals"),
        margins=("race_ethnicity",),
    )
    keys, top, bottom = _staged("closed", {"received": 0.41}, "x", referrals)
    keep = (keys["x"] == "received").to_numpy()
    out["referral_closure"] = proportions(
        "Referral closure",
        keys.loc[keep, ["race_ethnicity"]],
        list(np.array(top)[keep]),
        list(np.array(bottom)[keep]),
        ("referrals_closed_services_received", "matured_root_referrals"),
        margins=("race_ethnicity",),
    )
    out["referral_closure_by_service"] = _closure_by_service(out["referral_closure"])
    out["referral_losses"] = proportions(
        "Losses",
        pd.MultiIndex.from_product(
            [["authorized", "reached", ALL], ["no_capacity", "unable_to_reach", ALL]],
            names=["last_step", "ending"],
        ).to_frame(index=False),
        [40, 4, 44, 60, 66, 126, 100, 70, 170],
        [400] * 9,
        ("referrals_lost", "matured_referrals_for_losses"),
        margins=("last_step", "ending"),
    )
    out["payment_timeliness"] = proportions(
        "Paid in time",
        pd.DataFrame({"organization_type": ["cbo", "clinic"] * 2, "within_days": [30, 30, 45, 45]}),
        [65, 42, 69, 42],
        [98, 69, 87, 58],
        ("invoices_paid_in_time", "invoices_not_denied"),
        about="organizations",
    )
    out |= _utilization(rng) | _delivery(rng) | _effects(rng)
    out |= {"access_times": made_up_times(), "access_standardized": standardized(20)}
    out |= {"effect_bounds": _bounds(), **_no_effects()}
    simulated = simulate_referral_network()
    out |= network_tables(
        simulated.referral, simulated.organization, as_of="2024-12-31", person=simulated.person
    )
    out |= survey_network_tables(_reported_ties(), as_of="2024-12-31")
    out |= {"use_disparity": spreads(), **gaps(out["access_funnel"])}
    out |= survey_results() | plan_results()
    return out


def _closure_by_service(closure: RateTable) -> RateTable:
    """The same matured referrals split by service: two services are small."""
    is_all = closure.keys["race_ethnicity"].eq(ALL).to_numpy()
    matured, received = closure.denominator[is_all][0], closure.numerator[is_all][0]
    services = ["ecm", *load_codes("community_support")["service"][:14]]
    weights = np.array([2, 18, 17, 13, 0.4, 5, 1, 2, 3, 3, 6, 4, 22, 0.5, 3])
    counts = np.floor(matured * weights / weights.sum())
    counts[1] += matured - counts.sum()
    top = np.floor(counts * received / matured)
    top[1] += received - top.sum()
    return proportions(
        "Referral closure",
        pd.DataFrame({"service": [*services, ALL]}),
        [*top, received],
        [*counts, matured],
        ("referrals_closed_services_received", "matured_root_referrals"),
        margins=("service",),
    )


def _row_ledger() -> RateTable:
    rows = [
        ("eligibility", "read", "used", 311_402),
        ("eligibility", "read", "repeats another row", 1_204),
        ("eligibility", "panel", "used", 305_120),
        ("eligibility", "panel", "benefit scope is not full", 6_282),
        ("medical_claim", "read", "used", 2_114_800),
        ("medical_claim", "read", "`service_date` missing", 311),
        ("medical_claim", "panel", "used", 2_020_377),
        ("medical_claim", "panel", "voided or replaced", 61_204),
        ("medical_claim", "panel", "outside covered months", 33_219),
    ]
    n = np.array([r[3] for r in rows], dtype=float)
    empty = np.full(len(rows), np.nan)
    return RateTable(
        measure="Input rows",
        keys=pd.DataFrame([r[:3] for r in rows], columns=["table", "stage", "reason"]),
        numerator=n,
        denominator=empty,
        conf_low=empty,
        conf_high=empty,
        n_members=n,
        numerator_name="input_rows",
        denominator_name="",
        unit="rows",
        kind="count",
        method=Method("Count"),
    )


def _utilization(rng: np.random.Generator) -> dict[str, RateTable]:
    quarters = [f"{y}Q{q}" for y in range(2021, 2025) for q in range(1, 5)]
    rows, top, bottom = [], [], []
    for outcome, base in BASELINE.items():
        for side in ("exposed", "comparison"):
            for i, quarter in enumerate(quarters):
                level = base * (1.1 if side == "exposed" else 0.85)
                fall = 1 - 0.012 * max(0, i - 4) * (1 if side == "exposed" else 0.6)
                months = 4_100 if side == "exposed" else 5_000
                if outcome == "readmissions_30d" and i < 2 and side == "exposed":
                    months = 900
                rows.append({"outcome": outcome, "side": side, "quarter": quarter})
                bottom.append(months)
                top.append(round(level * fall * months / 1000 * rng.normal(1, 0.03)))
    trend = _rates("Utilization", pd.DataFrame(rows), top, bottom)
    rows, top, bottom = [], [], []
    for outcome, base in BASELINE.items():
        for group, size in {**GROUP_SIZES, ALL: sum(GROUP_SIZES.values())}.items():
            rows.append({"outcome": outcome, "race_ethnicity": group})
            bottom.append(round(size * 0.14 * 6))
            top.append(round(base * size * 0.14 * 6 / 1000))
    return {
        "utilization_trend": trend,
        "baseline_utilization": _rates("Use before eligibility", pd.DataFrame(rows), top, bottom),
    }


def _rates(measure: str, keys: pd.DataFrame, top: list[float], bottom: list[float]) -> RateTable:
    n, d = np.asarray(top, dtype=float), np.asarray(bottom, dtype=float)
    rate = 1000 * n / d
    half = 1.96 * 1000 * np.sqrt(n) / d
    return RateTable(
        measure=measure,
        keys=keys,
        numerator=n,
        denominator=d,
        conf_low=rate - half,
        conf_high=rate + half,
        n_members=np.ceil(n / 2),
        numerator_name=measure.lower().replace(" ", "_") + "_events",
        denominator_name="member_months",
        unit="per 1,000 member-months",
        kind="rate",
        method=Method("Byar interval"),
        per=1000.0,
    )


def _delivery(rng: np.random.Generator) -> dict[str, RateTable]:
    types = ["cbo", "clinic", "hospital", "county_agency", "tribal", "for_profit", "unknown"]
    keys = pd.DataFrame({"organization_type": types})
    out = {}
    for name, counts, what in (
        ("delivery_organizations", [61, 48, 9, 22, 3, 31, 4], "organizations"),
        ("delivery_contracts", [92, 96, 14, 33, 4, 88, 5], "contracts"),
        ("delivery_members", [331, 402, 41, 160, 6, 388, 15], "members_served"),
    ):
        total = 1180 if name == "delivery_members" else sum(counts)
        out[name] = proportions(
            what,
            keys,
            counts,
            [total] * len(types),
            (f"{what}_of_type", f"all_{what}"),
            about="members" if name == "delivery_members" else "organizations",
        )
    counties = list(load_codes("county")["county"])
    services = ["ecm", *load_codes("community_support")["service"][:14]]
    cells = pd.MultiIndex.from_product([counties, services], names=["county", "service"]).to_frame(
        index=False
    )
    contracted = rng.poisson(1.4, len(cells)).astype(float)
    active = rng.binomial(contracted.astype(int), 0.6).astype(float)
    out["coverage"] = proportions(
        "Coverage",
        cells,
        active,
        contracted,
        ("active_organizations", "contracted_organizations"),
        about="organizations",
    )
    by_service = cells.assign(a=active >= 1).groupby("service", sort=False)["a"].sum()
    out["coverage_summary"] = proportions(
        "Counties covered",
        pd.DataFrame({"service": list(by_service.index)}),
        list(by_service),
        [58] * len(by_service),
        ("counties_with_active_organization", "counties"),
        about="organizations",
    )
    out["coverage_summary_two_or_more"] = proportions(
        "Counties covered twice",
        pd.DataFrame({"service": list(by_service.index)}),
        list(by_service // 2),
        [58] * len(by_service),
        ("counties_with_two_active_organizations", "counties"),
        about="organizations",
    )
    return out | second_answers(EFFECT, UNITS)


def _effects(rng: np.random.Generator) -> dict[str, EffectTable]:
    study, overall, by_race, gap, ratio, pre_post, phase = [], [], [], [], [], [], []
    sizes = {g: max(2.0, round(n * 0.07)) for g, n in GROUP_SIZES.items()}
    for outcome, (effect, se) in EFFECT.items():
        about = {"outcome": outcome, "unit": UNITS[outcome]}
        for t in range(-6, 13):
            size = effect * (0.6 + 0.05 * t) if t >= 0 else 0.0
            members = 1400 - 60 * max(t, 0) if not (outcome == "jail_days" and t > 10) else 8
            study.append(
                ({**about, "event_time": t}, size + rng.normal(0, se * 0.7), se * 1.3, members)
            )
        overall.append(({**about, "anchor": "first_outreach"}, effect * 0.63, se * 0.9, 1860))
        overall.append(({**about, "anchor": "first_service"}, effect, se, 1290))
        reference = effect * 1.05
        for group, members in sizes.items():
            spread = se * np.sqrt(700 / members)
            value = effect * (0.6 if group == "asian" else 1.1) + rng.normal(0, spread * 0.5)
            by_race.append(({**about, "race_ethnicity": group}, value, spread, members))
            about_ratio = {"outcome": outcome, "unit": "ratio", "race_ethnicity": group}
            ratio.append((about_ratio, 0.9, 0.02 * np.sqrt(700 / members), members))
            if group != "white":
                gap.append(
                    (
                        {**about, "race_ethnicity": group, "reference": "white"},
                        value - reference,
                        spread * 1.3,
                        members,
                    )
                )
        for side, times in (("exposed", 2.2), ("comparison", 1.2)):
            change = {**about, "side": side, "race_ethnicity": ALL}
            pre_post.append((change, effect * times, se * 0.7, 1290))
        for group, members in sizes.items():
            spread = se * np.sqrt(700 / members)
            pre_post.append(
                (
                    {**about, "side": "exposed", "race_ethnicity": group},
                    effect * 2.2 + rng.normal(0, spread),
                    spread,
                    members,
                )
            )
        for t in [*range(6), "overall"]:
            phase.append(
                (
                    {**about, "event_time": str(t)},
                    effect * 0.004 + rng.normal(0, se * 0.05),
                    se * 0.1,
                    8000,
                )
            )
    return {
        "effect_event_study": effects(*_columns(study)),
        "effect_overall": effects(*_columns(overall)),
        "effect_by_race": effects(*_columns(by_race)),
        "effect_gap": effects(*_columns(gap), name="Gap in effect"),
        "effect_ratio": effects(*_columns(ratio), name="Rate ratio"),
        "pre_post": effects(*_columns(pre_post), name="Change", is_causal=False),
        "county_phase": effects(*_columns(phase), name="Intention to treat, county of residence"),
    }


_PERIODS = {"max_event_time": 5, "months_per_period": 3}


def _bounds() -> BoundsTable:
    """Bounds around each effect; widths by hand, those of a group by its size."""
    sizes = {ALL: 1290.0} | {g: max(2.0, round(n * 0.07)) for g, n in GROUP_SIZES.items()}
    rows = []
    for outcome, (effect, se) in EFFECT.items():
        for group, members in sizes.items():
            error = se * np.sqrt(1290 / members)
            breakdown = (abs(effect) - 1.96 * error) / (4 * error)
            for bound in (0.0, 0.5, 1.0, 2.0):
                keys = {"outcome": outcome, "unit": UNITS[outcome], "race_ethnicity": group}
                keys |= {"restriction": "relative_magnitudes", "bound": bound}
                inner, outer = 3 * error * bound, error * (1.96 + 4 * bound)
                ends = (effect - inner, effect + inner, effect - outer, effect + outer)
                rows.append((keys, ends, breakdown if breakdown > 0 else np.nan, members))
    ends = np.array([r[1] for r in rows])
    members = np.array([r[3] for r in rows])
    return BoundsTable(
        keys=pd.DataFrame([r[0] for r in rows]),
        set_low=ends[:, 0],
        set_high=ends[:, 1],
        conf_low=ends[:, 2],
        conf_high=ends[:, 3],
        conf_level=0.95,
        support=pd.DataFrame(
            {"n_members": members, "n_events": members * 2, "member_months": members * 2}
        ),
        estimand=Estimand("ATT under bounded trends", "members served", "see `unit`"),
        method=Method("Robust confidence set", _PERIODS, "doi:10.1093/restud/rdad018"),
        bound_words="times the largest change from one month to the next before exposure",
        breakdown=np.array([r[2] for r in rows]),
    )


def _no_effects() -> dict[str, EffectTable]:
    """Effects where there can be none: at false dates, and on an outcome out of reach."""
    placebo = []
    for outcome, (_, se) in EFFECT.items():
        for months, value in ((3, 0.4), (12, 2.2 if outcome == "ed_visits" else -0.7)):
            keys = {"outcome": outcome, "unit": UNITS[outcome], "race_ethnicity": ALL}
            placebo.append(({**keys, "months_earlier": months}, value * se, se, 1290))
    about = {"outcome": "telehealth_visits", "unit": "visits per 1,000 member-months"}
    control = [({**about, "race_ethnicity": ALL}, 1.2, 0.9, 1290)]
    tables = {
        "placebo_dates": effects(*_columns(placebo), name="Placebo effect", is_causal=False),
        "negative_control": effects(*_columns(control), name="Negative control", is_causal=False),
    }
    reason = "`telehealth_visits` was declared out of reach: billed by another program."
    notes = {"placebo_dates": ("The truth is 0.",), "negative_control": (reason,)}
    return {name: replace(table, notes=notes[name]) for name, table in tables.items()}


def _columns(rows: list[tuple]) -> tuple[pd.DataFrame, list[float], list[float], list[float]]:
    return (
        pd.DataFrame([r[0] for r in rows]),
        [r[1] for r in rows],
        [r[2] for r in rows],
        [r[3] for r in rows],
    )


PROVENANCE = {
    "study_id": "ecm_utilization",
    "question": "Does it work, and for whom?",
    "study_hash": "5f2c9a",
    "package_version": "0.1.0",
    "first_month": "2021-01",
    "last_month": "2024-12",
    "inputs": {"eligibility.parquet": "9a1c", "medical_claim.parquet": "77de"},
}
