"""From released tables to findings: what each rule asks of the numbers before it speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.labels import (
    ACCESS_STAGES,
    FEWER_IS_BETTER,
    outcome_label,
    race_label,
    service_label,
)
from calaim_eval.report.numbers import percent, plural
from calaim_eval.report.phrases import NOT_SHOWN, difference_words, effect_sentence
from calaim_eval.report.recommendations.finding import Finding, reach_weight, size_weight
from calaim_eval.report.release_items import Absent, find_item, item_title, lower_first
from calaim_eval.report.trend_words import leaves_out_zero
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

LEVEL = 0.05
"""Of a family of tests, after Holm."""
_FEW_COUNTIES = 0.5
_IDLE = 0.25
_LATE = 0.10
_OPEN = "still_open"
_NOT_A_GROUP = frozenset({"unknown", "declined", "other"})
"""Rows of their own that are nobody's group: a gap of theirs is about records."""
_Rule = Callable[["Released"], list[Finding]]


def find_findings(released: Released) -> list[Finding]:
    """All findings of a release, unordered.

    Differences count only where they stay clear of zero after Holm's correction over all outcomes
    (and groups) of their table: a page that lists what stands out must not list what chance does.

    Parameters
    ----------
    released : Released

    Returns
    -------
    list[Finding]
        Empty where no number is firm enough.
    """
    return [finding for rule in _RULES for finding in rule(released)]


def open_questions(released: Released) -> list[str]:
    """What the release was asked and does not carry, a sentence each."""
    questions = []
    effects = _shown(released, "effect_overall")
    if effects is not None:
        mine = effects[effects["anchor"] == "first_service"]
        firm = set(_clear(mine)["outcome"])
        unclear = [o for o in mine["outcome"].unique() if o not in firm]
        if unclear:
            names = ", ".join(lower_first(outcome_label(o)) for o in unclear)
            questions.append(
                f"Whether the program changes {names}: intervals include zero, or do not leave it "
                "out once all outcomes are counted. That is not evidence of no effect."
            )
    gaps = _item_frame(released, "effect_gap")
    if gaps is not None:
        is_hidden = gaps["is_suppressed"].astype(bool).groupby(gaps["race_ethnicity"]).all()
        hidden = [race_label(str(g)) for g in is_hidden.index[is_hidden] if g not in _NOT_A_GROUP]
        if hidden:
            questions.append(
                f"Whether effects differ for {', '.join(hidden)}: {NOT_SHOWN}. These groups are "
                "not less important; a longer period or several plans together would show them."
            )
    for name in ("effect_overall", "access_gap", "referral_losses", "coverage_summary"):
        found = find_item(released, name)
        if isinstance(found, Absent):
            questions.append(f"{item_title(name)}: not in this release. {found.why}")
    return questions


def _effects(released: Released) -> list[Finding]:
    """Outcomes that clearly differ from what is expected without the program."""
    frame = _shown(released, "effect_overall")
    if frame is None:
        return []
    mine = _clear(frame[frame["anchor"] == "first_service"])
    found = find_item(released, "effect_overall")
    is_causal = not isinstance(found, Absent) and bool(found.meta.get("is_causal", True))
    base = _base_rates(released)
    reach = reach_weight(
        _share(released, "access_funnel", {"race_ethnicity": ALL, "stage": "served"})
    )
    findings = []
    for _, row in mine.iterrows():
        outcome = str(row["outcome"])
        is_good = (row["estimate"] < 0) == (outcome in FEWER_IS_BETTER)
        name = lower_first(outcome_label(outcome))
        quiet = _false_dates_quiet(released, outcome)
        findings.append(
            Finding(
                title=f"{'Keep what lowers' if row['estimate'] < 0 else 'Keep what raises'} {name}"
                if is_good
                else f"Find out why {name} {'fall' if row['estimate'] < 0 else 'rise'}",
                says=effect_sentence(released, outcome=outcome),
                does_not_say="It is the average of members served so far; others may gain more or "
                "less." + ("" if quiet else " Estimates at false dates are not all near zero."),
                items=("effect_overall", "baseline_utilization", "placebo_dates"),
                effect=size_weight(row["estimate"] / base[outcome]) if base.get(outcome) else 1,
                reach=reach,
                equity=0,
                certainty=(3 if quiet else 2) if is_causal else 1,
            )
        )
    return findings


def _effect_gaps(released: Released) -> list[Finding]:
    """Groups for whom an effect clearly differs from the reference's."""
    frame = _shown(released, "effect_gap")
    if frame is None:
        return []
    base = _base_rates(released)
    members = _member_shares(released)
    findings = []
    clear = _clear(frame)
    for _, row in clear[~clear["race_ethnicity"].isin(_NOT_A_GROUP)].iterrows():
        outcome, group = str(row["outcome"]), str(row["race_ethnicity"])
        is_worse = (row["estimate"] > 0) == (outcome in FEWER_IS_BETTER)
        words = difference_words(
            row["estimate"], row["conf_low"], row["conf_high"], unit=str(row["unit"])
        )
        findings.append(
            Finding(
                title=f"Ask {race_label(group)} members and those who serve them why the effect on "
                f"{lower_first(outcome_label(outcome))} differs",
                says=f"Effect among {race_label(group)} members against that among "
                f"{race_label(str(row['reference']))} members: {words}.",
                does_not_say="A gap does not say what makes it.",
                items=("effect_gap",),
                effect=size_weight(row["estimate"] / base[outcome]) if base.get(outcome) else 1,
                reach=reach_weight(members.get(group, 0.0)),
                equity=3 if is_worse else 0,
                certainty=2,
            )
        )
    return findings


def _access_gaps(released: Released) -> list[Finding]:
    """Stages at which a group clearly falls behind the reference."""
    frame = _shown(released, "access_gap")
    if frame is None:
        return []
    parts = frame[frame["component"] != "gap"]
    clear = _clear(parts)
    members = _member_shares(released)
    behind = clear[(clear["estimate"] < 0) & ~clear["race_ethnicity"].isin(_NOT_A_GROUP)]
    findings = []
    for stage, rows in behind.groupby("component", sort=False):
        groups = list(rows["race_ethnicity"])
        named = ", ".join(race_label(g) for g in groups)
        largest = rows["estimate"].min()
        stage_words = lower_first(ACCESS_STAGES.get(str(stage), str(stage)))
        findings.append(
            Finding(
                title=f"Find out why fewer {named} members are {stage_words}",
                says=f"At this stage {plural(len(groups), 'group')} "
                f"{'falls' if len(groups) == 1 else 'fall'} behind "
                f"{race_label(str(rows['reference'].iloc[0]))} members ({named}), by up to "
                f"{100 * abs(largest):.1f} percentage points of members identified.",
                does_not_say="It is about members already identified as eligible; who is never "
                "identified is not seen.",
                items=("access_gap", "access_funnel"),
                effect=size_weight(largest / _reference_rate(released, str(stage))),
                reach=reach_weight(sum(members.get(str(g), 0.0) for g in groups)),
                equity=3,
                certainty=2,
            )
        )
    return findings


def _referral_losses(released: Released) -> list[Finding]:
    """The ending most referrals without a service have."""
    frame = _shown(released, "referral_losses")
    if frame is None:
        return []
    total = frame[(frame["last_step"] == ALL) & (frame["ending"] == ALL)]
    endings = frame[(frame["last_step"] == ALL) & ~frame["ending"].isin([ALL, _OPEN])]
    if endings.empty or total.empty:
        return []
    row = endings.loc[endings["rate"].idxmax()]
    ending = str(row["ending"]).replace("_", " ")
    return [
        Finding(
            title=f'Begin with referrals that end as "{ending}"',
            says=f"{percent(total['rate'].iloc[0])} of referrals old enough to judge are not "
            "closed with services received, those still open among them; the most frequent ending: "
            f'"{ending}", {percent(row["rate"])} of referrals old enough to judge.',
            does_not_say="A reason in a record is what somebody chose from a list.",
            items=("referral_losses",),
            effect=size_weight(row["rate"]),
            reach=reach_weight(float(total["rate"].iloc[0])),
            equity=0,
            certainty=2,
        )
    ]


def _coverage(released: Released) -> list[Finding]:
    """Services that few counties can offer."""
    frame = _shown(released, "coverage_summary")
    if frame is None:
        return []
    services = frame[~frame["service"].isin([ALL, "any_community_support"])]
    few = services[services["rate"] < _FEW_COUNTIES]
    if few.empty:
        return []
    lowest = few.loc[few["rate"].idxmin()]
    return [
        Finding(
            title="Find organizations for services that few counties have",
            says=f"{len(few)} of {plural(len(services), 'service')} have an active organization in "
            f"fewer than half of the counties; the fewest: "
            f"{service_label(str(lowest['service']))} ({percent(lowest['rate'])}).",
            does_not_say="A county with one active organization may still have far too little.",
            items=("coverage_summary",),
            effect=size_weight(1 - float(few["rate"].median())),
            reach=reach_weight(len(few) / len(services)),
            equity=0,
            certainty=2,
        )
    ]


def _idle_contracts(released: Released) -> list[Finding]:
    """Contracted organizations that serve nobody."""
    share = _share(released, "contracted_but_idle", {"service": ALL})
    if not share >= _IDLE:
        return []
    return [
        Finding(
            title="Ask contracted organizations that serve nobody what keeps them",
            says=f"{percent(share)} of contracted organizations served no member in the quarter.",
            does_not_say="It does not say whether members were referred to them.",
            items=("contracted_but_idle",),
            effect=size_weight(share),
            reach=reach_weight(share),
            equity=1,
            certainty=2,
        )
    ]


def _late_payment(released: Released) -> list[Finding]:
    """Clean invoices of community-based organizations not paid within 30 days."""
    paid = _share(released, "payment_timeliness", {"organization_type": "cbo", "within_days": "30"})
    late = 1 - paid
    if not late >= _LATE:
        return []
    return [
        Finding(
            title="Pay community-based organizations sooner",
            says=f"{percent(late)} of clean invoices of community-based organizations were not "
            "paid within 30 days.",
            does_not_say="It does not say that late payment is why organizations leave.",
            items=("payment_timeliness",),
            effect=size_weight(late),
            reach=reach_weight(_share(released, "delivery_members", {"organization_type": "cbo"})),
            equity=1,
            certainty=2,
        )
    ]


_RULES: tuple[_Rule, ...] = (
    _effects,
    _effect_gaps,
    _access_gaps,
    _referral_losses,
    _coverage,
    _idle_contracts,
    _late_payment,
)


def _item_frame(released: Released, name: str) -> pd.DataFrame | None:
    """A released table; None where it is absent."""
    found = find_item(released, name)
    return None if isinstance(found, Absent) else found.frame


def _shown(released: Released, name: str) -> pd.DataFrame | None:
    """Rows of a released table that are shown; None where it is absent."""
    frame = _item_frame(released, name)
    return None if frame is None else frame[~frame["is_suppressed"].astype(bool)]


def _clear(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows clear of zero after Holm's correction over all rows with a p-value."""
    from statsmodels.stats.multitest import multipletests

    tested = frame[frame["p_value"].notna()]
    if tested.empty:
        return tested
    rejected = multipletests(tested["p_value"].to_numpy(dtype=float), LEVEL, method="holm")[0]
    return tested[np.asarray(rejected)]


def _share(released: Released, name: str, where: dict[str, str]) -> float:
    """The rate of one released row; NaN where it is not shown."""
    frame = _shown(released, name)
    if frame is None:
        return float("nan")
    for column, value in where.items():
        frame = frame[frame[column].astype(str) == value]
    return float(frame["rate"].iloc[0]) if len(frame) else float("nan")


def _base_rates(released: Released) -> dict[str, float]:
    """Rate of each outcome before eligibility, all members."""
    frame = _shown(released, "baseline_utilization")
    if frame is None:
        return {}
    overall = frame[frame["race_ethnicity"] == ALL]
    return dict(zip(overall["outcome"], overall["rate"].astype(float), strict=True))


def _member_shares(released: Released) -> dict[str, float]:
    """Share of each group among members identified as eligible."""
    frame = _shown(released, "access_funnel")
    if frame is None:
        return {}
    rows = frame[frame["stage"] == "identified"].set_index("race_ethnicity")["numerator"]
    if ALL not in rows.index:
        return {}
    return {str(g): float(n) / float(rows[ALL]) for g, n in rows.drop(ALL).items()}


def _reference_rate(released: Released, stage: str) -> float:
    """Share of all members who reach a stage; 1 where it is not shown."""
    share = _share(released, "access_funnel", {"race_ethnicity": ALL, "stage": stage})
    return share if share > 0 else 1.0


def _false_dates_quiet(released: Released, outcome: str) -> bool:
    """Whether estimates at false dates were made for all members and none leaves out zero."""
    frame = _shown(released, "placebo_dates")
    if frame is None:
        return False
    mine = frame[(frame["race_ethnicity"] == ALL) & (frame["outcome"] == outcome)]
    shown = mine[mine["conf_low"].notna()]
    return not shown.empty and not leaves_out_zero(shown).any()
