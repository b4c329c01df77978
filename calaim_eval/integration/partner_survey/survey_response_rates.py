"""Who answered a partner survey, and what share of them agree."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.clustered_shares import clustered_shares
from calaim_eval.integration.contracts import organization_trait, trait_values
from calaim_eval.integration.inputs import take_columns
from calaim_eval.integration.partner_survey.survey_answers import UNKNOWN_ROLE, SurveyAnswers
from calaim_eval.integration.partner_survey.survey_scores import (
    ORGANIZATION,
    ROLE,
    group_of_respondents,
)
from calaim_eval.integration.share_table import by_wilson, share_table
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.schema.fields import FIELDS

_CLUSTERED = "Dean N, Pagano M (2015). doi:10.1093/jssam/smv024"


def survey_response_rate(
    answers: SurveyAnswers, organization: pd.DataFrame, *, by: str = "organization_type"
) -> RateTable:
    """Organizations with at least one respondent over organizations asked, by a trait.

    Parameters
    ----------
    answers : SurveyAnswers
    organization : pd.DataFrame
        The organizations that were asked: a row each, with the trait.
    by : str
        Trait of the organization.

    Returns
    -------
    RateTable
        Key `by` with its margin ``"all"``; ``about="organizations"``. Respondents of
        organizations that were not asked are counted in a note.

    Raises
    ------
    TableError
        Columns are absent or contradict each other.
    """
    roster = take_columns(organization, table="organization", required=(ORGANIZATION,))
    asked = pd.Series(roster[ORGANIZATION].dropna().unique())
    trait = organization_trait(asked, organization, trait=by)
    responded = set(answers.answers[ORGANIZATION])
    is_respondent = asked.isin(responded)
    order = trait_values(by, trait)
    denominator = trait.value_counts().reindex(order, fill_value=0).to_numpy(dtype=float)
    counted = trait[is_respondent].value_counts().reindex(order, fill_value=0)
    numerator = counted.to_numpy(dtype=float)
    numerator = np.concatenate([[numerator.sum()], numerator])
    denominator = np.concatenate([[denominator.sum()], denominator])
    n_others = len(responded - set(asked))
    notes = (f"{n_others:,} organizations answered without having been asked.",)
    return share_table(
        "Organizations that answered the survey",
        pd.DataFrame({by: [ALL, *order]}),
        numerator,
        denominator,
        names=("organizations_that_answered", "organizations_asked"),
        unit="share of organizations asked",
        method=by_wilson({"by": by}),
        about="organizations",
        margins=(by,),
        notes=notes if n_others else (),
    )


def survey_respondents(
    answers: SurveyAnswers, *, by: str | None = None, organization: pd.DataFrame | None = None
) -> RateTable:
    """Respondents by role: a score means another thing where executives answered.

    Parameters
    ----------
    answers : SurveyAnswers
    by : str, optional
        Trait of the organization, as in `survey_scores`.
    organization : pd.DataFrame, optional
        Needed for traits.

    Returns
    -------
    RateTable
        Keys `by` and ``respondent_role``; numerator: respondents of the role; denominator: all
        respondents of the group. Respondents are persons: `n_members` counts them, and small
        counts are hidden in a release as members' are.
    """
    if by in (ROLE, ORGANIZATION):
        raise EstimationError(
            f"`by`: respondents by role are not broken down by `{by}`.\n  Use a trait."
        )
    group = group_of_respondents(answers, by, organization)
    role = answers.answers[ROLE].astype(object)
    roles = [ALL, *FIELDS[ROLE].values, UNKNOWN_ROLE]
    groups = [] if group is None else trait_values(str(by), group)
    rows = []
    for label in [ALL, *groups]:
        inside = role if group is None or label == ALL else role[group == label]
        counts = inside.value_counts().reindex(roles[1:], fill_value=0).to_numpy(dtype=float)
        rows.append(np.concatenate([[counts.sum()], counts]))
    numerator = np.concatenate(rows)
    denominator = np.repeat([row[0] for row in rows], len(roles))
    keys = pd.MultiIndex.from_product([[ALL, *groups], roles], names=[by or "group", ROLE])
    frame = keys.to_frame(index=False)
    return share_table(
        "Respondents of the survey by role",
        frame[[ROLE]] if by is None else frame,
        numerator,
        denominator,
        names=("survey_respondents", "survey_respondents"),
        unit="share of respondents",
        method=by_wilson({"by": by or ALL}),
        margins=(ROLE,) if by is None else (by, ROLE),
        denominator_keys=() if by is None else (by,),
    )


def survey_agreement(
    answers: SurveyAnswers,
    *,
    agree_from: float,
    by: str | None = None,
    organization: pd.DataFrame | None = None,
) -> RateTable:
    """Share of respondents who agree with each item, with intervals clustered by organization.

    Parameters
    ----------
    answers : SurveyAnswers
        Answers after reversed items were turned.
    agree_from : float
        Lowest answer that is agreement, e.g. 4 of 1 to 5.
    by : str, optional
        ``"respondent_role"`` or a trait of the organization.
    organization : pd.DataFrame, optional
        Needed for traits.

    Returns
    -------
    RateTable
        Keys ``item`` and `by`, with the margin ``"all"`` of `by`; numerator: respondents who
        agree; denominator: respondents who answered the item; both are persons.

    Raises
    ------
    EstimationError
        There is no such breakdown, or `agree_from` lies outside every answer.
    """
    if by == ORGANIZATION:
        raise EstimationError(
            "`by`: shares of an organization's few respondents are not made.\n  Use a trait."
        )
    group = group_of_respondents(answers, by, organization)
    items = [item for names in answers.scales.values() for item in names]
    values = answers.answers[items].to_numpy(dtype=float)
    if not np.nanmin(values) < agree_from <= np.nanmax(values):
        raise EstimationError(
            f"`agree_from` is {agree_from:g}: nobody, or everybody, would agree with everything.\n"
            "  Give the lowest answer that is agreement, on the scale of the items."
        )
    order = _groups_in_order(by, group)
    tables = [_agreeing(answers, item, agree_from, group, order) for item in items]
    frame = pd.concat(tables, ignore_index=True)
    names = ["item", "group"] if by is not None else ["item"]
    return RateTable(
        measure="Respondents who agree",
        keys=frame[names].rename(columns={"group": by}),
        numerator=frame["numerator"].to_numpy(dtype=float),
        denominator=frame["denominator"].to_numpy(dtype=float),
        conf_low=frame["conf_low"].to_numpy(dtype=float),
        conf_high=frame["conf_high"].to_numpy(dtype=float),
        n_members=frame["numerator"].to_numpy(dtype=float),
        numerator_name=f"respondents_answering_{agree_from:g}_or_more",
        denominator_name="respondents_answering",
        unit="share of respondents",
        kind="proportion",
        method=Method(
            "Share with Wilson interval on the effective number of respondents, clustered by "
            "organization",
            {"agree_from": agree_from, "by": by or ALL},
            _CLUSTERED,
        ),
        margins=() if by is None else (by,),
    )


def _groups_in_order(by: str | None, group: pd.Series | None) -> list[str]:
    """Groups to report."""
    if by is None or group is None:
        return []
    if by == ROLE:
        return [*FIELDS[ROLE].values, UNKNOWN_ROLE]
    return trait_values(by, group)


def _agreeing(
    answers: SurveyAnswers,
    item: str,
    agree_from: float,
    group: pd.Series | None,
    order: list[str],
) -> pd.DataFrame:
    """Rows of one item."""
    answer = answers.answers[item]
    known = answer.notna()
    table = clustered_shares(
        answer[known] >= agree_from,
        group=None if group is None else group[known],
        cluster=answers.answers.loc[known, ORGANIZATION],
        groups=order,
        reference="t",
    )
    return table.reset_index().assign(item=item)
