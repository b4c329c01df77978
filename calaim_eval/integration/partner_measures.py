"""What partners say and what plans ask of them, for a quarterly release: one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.about_organizations import about_organizations
from calaim_eval.integration.asset_map import asset_map_change, listed_on
from calaim_eval.integration.capacity import capacity_use
from calaim_eval.integration.composite import IndexRule, components_from_rates, composite_index
from calaim_eval.integration.coverage import service_coverage
from calaim_eval.integration.data_sharing import data_sharing_level
from calaim_eval.integration.delivery import delivery_members
from calaim_eval.integration.inputs import Day, as_day, quarter_days, take_columns
from calaim_eval.integration.measures_made import MeasuresMade, absent_tables
from calaim_eval.integration.partner_survey import (
    SurveyAnswers,
    aggregation_check,
    scale_reliability,
    score_survey,
    survey_agreement,
    survey_respondents,
    survey_response_rate,
    survey_scores,
)
from calaim_eval.integration.partner_survey.factor_fit_table import survey_factor_fit
from calaim_eval.integration.plan_requirements import (
    distinct_layouts,
    plan_similarity,
    requirement_burden,
    requirement_standardization,
)
from calaim_eval.integration.referrals import referral_closure
from calaim_eval.integration.summary import frames_of_quarter
from calaim_eval.results import EffectTable, RateTable, Result, stack
from calaim_eval.tables import Tables
from calaim_eval.tables.ledger import RowLedger

Frames: TypeAlias = Mapping[str, pd.DataFrame]
Recipe: TypeAlias = tuple[tuple[str, ...], Callable[[Frames], Result]]

INDEX_COMPONENTS = ("services_covered", "members_served_by_cbos", "referrals_closed")
"""Components of the index of counties that a study may weigh; high is good in each."""
_TABLES = (
    "contract",
    "data_sharing",
    "organization",
    "person",
    "plan_requirement",
    "program_service",
    "referral",
    "survey_item",
    "survey_response",
)
_SURVEY = ("survey_response", "survey_item")
SURVEY_MEASURES = (
    "survey_response_rate",
    "survey_respondents",
    "survey_reliability",
    "survey_factor_fit",
    "survey_aggregation",
    "survey_scores_by_role",
    "survey_scores_by_organization_type",
    "survey_scores_by_leadership",
    "survey_agreement",
)
_SEED = 20220101


class PartnerMeasures(MeasuresMade[Result]):
    """Tables of any kind by name, with what could not be made and why."""


def partner_measures(
    tables: Tables | Frames,
    *,
    quarter: str,
    as_of: Day | None = None,
    maturation_days: int = 90,
    index_rule: IndexRule | None = None,
    program_service: pd.DataFrame | None = None,
) -> PartnerMeasures:
    """The partner survey, plan requirements, data sharing, capacity, and the asset map's change.

    Parameters
    ----------
    tables : Tables or mapping of table name to DataFrame
        Uses `survey_response` with `survey_item` (its latest wave begun by the end of the
        quarter), `plan_requirement`, `data_sharing`, `contract`, `organization`,
        `program_service`, `referral` and `person` with ``race_ethnicity``.
    quarter : str
        e.g. ``"2024Q4"``; the asset map and requirements are compared with a year before.
    as_of : day, optional
        Day referrals are looked at, for the index. Default: the last day of the quarter.
    maturation_days : int
        Age a referral must have, for the index.
    index_rule : IndexRule, optional
        Weights of `INDEX_COMPONENTS`; without it counties are not ranked.
    program_service : pd.DataFrame, optional
        Program records with the services seen in claims, where they were put together already
        (`IntegrationMeasures.program_service`).

    Returns
    -------
    PartnerMeasures
        ``survey_response_rate``, ``survey_respondents``, ``survey_reliability``,
        ``survey_factor_fit``, ``survey_aggregation``, ``survey_scores_by_role``,
        ``survey_scores_by_organization_type``,
        ``survey_scores_by_leadership``, ``survey_agreement``, ``requirement_standardization``,
        ``plan_similarity``, ``requirement_burden``, ``distinct_layouts``,
        ``distinct_layouts_by_leadership``,
        ``data_sharing_level``, ``data_sharing_by_leadership``, ``capacity_use``,
        ``asset_map_organizations``, ``asset_map_coverage``, ``integration_rank``.

    Raises
    ------
    TableError
        A table that is there breaks its contract.
    EstimationError
        `quarter` cannot be read.
    """
    _, last = quarter_days(quarter)
    day = last if as_of is None else as_day(as_of, name="as_of")
    made = PartnerMeasures()
    frames = frames_of_quarter(
        tables, names=_TABLES, quarter=quarter, ledger=made.ledger, program_service=program_service
    )
    recipes = {
        **_plan_recipes(quarter=quarter, last=last, ledger=made.ledger),
        **_place_recipes(quarter=quarter, last=last, ledger=made.ledger),
        **_index_recipe(
            index_rule, quarter=quarter, last=last, day=day, maturation_days=maturation_days
        ),
    }
    for name, (needs, measure) in recipes.items():
        made.make(name, needs, measure, frames)
    _add_survey(made, frames, last=last)
    return made


def _add_survey(made: PartnerMeasures, frames: Frames, *, last: pd.Timestamp) -> None:
    """Measures of the latest wave, from answers scored once."""
    absent = absent_tables(_SURVEY, frames)
    if absent:
        made.skipped |= dict.fromkeys(SURVEY_MEASURES, absent)
        return
    try:
        answers = score_survey(
            frames["survey_response"],
            frames["survey_item"],
            wave_date=_latest_wave(frames["survey_response"], last),
            ledger=made.ledger,
        )
    except EstimationError as error:
        made.skipped |= dict.fromkeys(SURVEY_MEASURES, str(error))
        return
    recipes = survey_recipes(answers, agree_from=_agreement_begins(frames["survey_item"]))
    for name, (needs, measure) in recipes.items():
        made.make(name, needs, measure, frames)


def survey_recipes(answers: SurveyAnswers, *, agree_from: float | None) -> dict[str, Recipe]:
    """Survey measures: the tables each needs beside the answers, and its call."""
    roster = ("organization",)

    def by_trait(trait: str) -> Callable[[Frames], Result]:
        return lambda f: survey_scores(answers, by=trait, organization=f["organization"])

    return {
        "survey_response_rate": (
            roster,
            lambda f: survey_response_rate(answers, f["organization"]),
        ),
        "survey_respondents": ((), lambda _: survey_respondents(answers)),
        "survey_reliability": ((), lambda _: scale_reliability(answers)),
        "survey_factor_fit": ((), lambda _: survey_factor_fit(answers)),
        "survey_aggregation": ((), lambda _: _aggregation(answers)),
        "survey_scores_by_role": ((), lambda _: survey_scores(answers, by="respondent_role")),
        "survey_scores_by_organization_type": (roster, by_trait("organization_type")),
        "survey_scores_by_leadership": (roster, by_trait("leadership")),
        "survey_agreement": ((), lambda _: _agreement(answers, agree_from)),
    }


def _aggregation(answers: SurveyAnswers) -> EffectTable:
    """The check of every scale that can be checked; the others are named."""
    tables, lost, first = [], [], None
    for scale in answers.scales:
        try:
            tables.append(aggregation_check(answers, scale).to_effects())
        except EstimationError as error:
            lost.append(scale)
            first = first or error
    if first is not None and not tables:
        raise first
    both = stack(tables)
    words = tuple(f"Scale `{s}` is left out: too few colleagues answered it." for s in lost)
    return replace(both, notes=(*both.notes, *words))


def _agreement(answers: SurveyAnswers, agree_from: float | None) -> RateTable:
    """Shares who agree, where one answer scale says what agreement is."""
    if agree_from is None:
        raise EstimationError(
            "items have several answer scales, so that no one answer is agreement.\n"
            "  Call survey_agreement() for the items of one scale."
        )
    return survey_agreement(answers, agree_from=agree_from, by="respondent_role")


def _agreement_begins(survey_item: pd.DataFrame) -> float | None:
    """Lowest answer of the top quarter of the scale (4 of 1 to 5); None where scales differ."""
    book = take_columns(
        survey_item,
        table="survey_item",
        required=("lowest_response", "highest_response"),
        optional=("scale",),
    )
    ends = book.loc[book["scale"].notna(), ["lowest_response", "highest_response"]]
    ends = ends.drop_duplicates()
    if len(ends) != 1:
        return None
    low, high = ends.iloc[0]
    return float(high - (high - low) / 4)


def _latest_wave(survey_response: pd.DataFrame, last: pd.Timestamp) -> pd.Timestamp | None:
    """The latest wave begun by the end of the quarter; None where waves have no date."""
    rows = take_columns(
        survey_response, table="survey_response", required=("item",), optional=("wave_date",)
    )
    if rows["wave_date"].isna().all():
        return None
    begun = rows.loc[rows["wave_date"] <= last, "wave_date"]
    if begun.empty:
        raise EstimationError(
            "table `survey_response`: every wave began after the quarter.\n"
            "  Report a later quarter."
        )
    return begun.max()


def _plan_recipes(*, quarter: str, last: pd.Timestamp, ledger: RowLedger) -> dict[str, Recipe]:
    """What plans require: the tables each measure needs, and its call."""
    needs = ("plan_requirement", "contract", "organization")

    def layouts(by: str) -> Callable[[Frames], Result]:
        return lambda f: distinct_layouts(
            f["plan_requirement"], f["contract"], f["organization"], quarter=quarter, by=by
        )

    return {
        "requirement_standardization": (
            ("plan_requirement",),
            lambda f: _two_years(f["plan_requirement"], last),
        ),
        "plan_similarity": (
            ("plan_requirement",),
            lambda f: plan_similarity(f["plan_requirement"], as_of=last),
        ),
        "requirement_burden": (
            needs,
            lambda f: requirement_burden(
                f["plan_requirement"],
                f["contract"],
                f["organization"],
                quarter=quarter,
                ledger=ledger,
            ),
        ),
        "distinct_layouts": (needs, layouts("organization_type")),
        "distinct_layouts_by_leadership": (needs, layouts("leadership")),
    }


def _two_years(plan_requirement: pd.DataFrame, last: pd.Timestamp) -> RateTable:
    """Standardization on the last day, and a year before where requirements are recorded then."""
    before = last - pd.DateOffset(years=1)
    try:
        return requirement_standardization(plan_requirement, as_of=[before, last])
    except EstimationError:
        return requirement_standardization(plan_requirement, as_of=last)


def _place_recipes(*, quarter: str, last: pd.Timestamp, ledger: RowLedger) -> dict[str, Recipe]:
    """Data sharing, capacity and the asset map: the tables each needs, and its call."""
    before = last - pd.DateOffset(years=1)
    sharing = ("data_sharing", "program_service")

    def change(contract: pd.DataFrame, **options: str) -> RateTable:
        lists = [listed_on(contract, day=day) for day in (before, last)]
        for day, listed in zip((before, last), lists, strict=True):
            if listed.empty:
                raise EstimationError(
                    f"table `contract`: no contract was in force on {day.date()}, so that nothing "
                    "can be said of a change.\n  Report a quarter a year after the first contracts."
                )
        return asset_map_change(*lists, days=(before, last), **options)  # type: ignore[arg-type]

    return {
        "data_sharing_level": (
            (*sharing, "person"),
            lambda f: data_sharing_level(
                f["data_sharing"],
                f["program_service"],
                quarter=quarter,
                by="race_ethnicity",
                person=f["person"],
                ledger=ledger,
            ),
        ),
        "data_sharing_by_leadership": (
            (*sharing, "organization"),
            lambda f: data_sharing_level(
                f["data_sharing"],
                f["program_service"],
                quarter=quarter,
                by="leadership",
                organization=f["organization"],
            ),
        ),
        "capacity_use": (
            ("contract", "program_service"),
            lambda f: capacity_use(
                f["contract"], f["program_service"], quarter=quarter, ledger=ledger
            ),
        ),
        "asset_map_organizations": (("contract",), lambda f: change(f["contract"], by="county")),
        "asset_map_coverage": (
            ("contract",),
            lambda f: change(f["contract"], counted="coverage", by="service"),
        ),
    }


def _index_recipe(
    rule: IndexRule | None,
    *,
    quarter: str,
    last: pd.Timestamp,
    day: pd.Timestamp,
    maturation_days: int,
) -> dict[str, Recipe]:
    """The index of counties, where the study declares weights."""
    needs = ("contract", "organization", "program_service", "referral")

    def rank(frames: Frames) -> Result:
        if rule is None:
            raise EstimationError(
                "the study declares no weights for an index, so counties are not ranked.\n"
                "  Declare them before looking at the components."
            )
        cover = service_coverage(frames["contract"], frames["program_service"], quarter=quarter)
        members = delivery_members(
            frames["program_service"], frames["organization"], quarter=quarter, by=("county",)
        )
        parts = {
            "services_covered": services_covered(cover),
            "members_served_by_cbos": members.select(members.keys["organization_type"] == "cbo"),
            "referrals_closed": referral_closure(
                frames["referral"],
                as_of=day,
                referred_to=last,
                maturation_days=maturation_days,
                by="county",
                exempt_services=(),
            ),
        }
        chosen = {name: parts[name] for name in rule.weights if name in parts}
        found = composite_index(
            components_from_rates(chosen, unit="county"),
            rule=rule,
            rng=np.random.default_rng(_SEED),
        )
        return found.to_bounds()

    return {"integration_rank": (needs, rank)}


def services_covered(coverage: RateTable) -> RateTable:
    """Services with an active organization over services offered, by county.

    Parameters
    ----------
    coverage : RateTable
        What `service_coverage` returned.

    Returns
    -------
    RateTable
        Key ``county``; about organizations, without interval: every service is counted.
    """
    cells = coverage.keys.assign(is_covered=coverage.numerator >= 1)
    table = cells.groupby("county", sort=False)["is_covered"].agg(["sum", "size"])
    return about_organizations(
        "Services with an active organization",
        pd.DataFrame({"county": table.index.to_numpy()}),
        table["sum"].to_numpy(dtype=float),
        table["size"].to_numpy(dtype=float),
        names=("services_with_an_active_organization", "services_offered"),
        unit="share of services",
        kind="proportion",
        method=coverage.method,
    )
