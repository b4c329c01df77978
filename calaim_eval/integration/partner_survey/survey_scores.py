"""Scores of a partner survey by group, at the same mix of respondents' roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.contracts import organization_trait
from calaim_eval.integration.inputs import UNKNOWN
from calaim_eval.integration.partner_survey.aggregation_check import (
    AggregationRule,
    aggregation_check,
    require_aggregation,
)
from calaim_eval.integration.partner_survey.survey_answers import UNKNOWN_ROLE, SurveyAnswers
from calaim_eval.results import ALL, EffectTable, Estimand, Method
from calaim_eval.results.effect_table import stack
from calaim_eval.schema.fields import FIELDS

ORGANIZATION = "organization_id"
ROLE = "respondent_role"
_ONE_ORGANIZATION = (
    "The score of a group whose respondents are all of one organization is that organization's: "
    "its support is 0, and it is not released."
)
_NO_VARIANCE = 1e-18
TRAITS = (
    "organization_type",
    "leadership",
    "population_served",
    "ownership",
    "headquarters_county",
)


def survey_scores(
    answers: SurveyAnswers,
    *,
    by: str | None = None,
    organization: pd.DataFrame | None = None,
    scales: Sequence[str] | None = None,
    adjust_for_role: bool = True,
    rule: AggregationRule | None = None,
) -> EffectTable:
    r"""Mean score of each scale, in all and by group.

    Frontline staff answer higher than executives. With `adjust_for_role` every group is given the
    role mix of all respondents, so that a group does not look better because others answered.

    Parameters
    ----------
    answers : SurveyAnswers
        What `score_survey` returned.
    by : str, optional
        ``"respondent_role"``; a trait of the organization (``"organization_type"``,
        ``"leadership"``, ``"population_served"``, ``"ownership"``, ``"headquarters_county"``); or
        ``"organization_id"``, which is refused unless `aggregation_check` supports it.
    organization : pd.DataFrame, optional
        Columns of the table `organization`; needed for its traits.
    scales : sequence of str, optional
        Default: all.
    adjust_for_role : bool
        Ignored with ``by="respondent_role"``.
    rule : AggregationRule, optional
        With ``by="organization_id"``.

    Returns
    -------
    EffectTable
        Keys ``scale`` and `by` (``"all"`` first, not by organization); estimate: mean score in
        points; joint covariance within a scale, clustered by organization with Student's t of its
        organizations less one (by organization: respondents are the units). `support` counts
        respondents as `n_members`: **a group of fewer respondents than the disclosure policy's
        smallest count is hidden in a release**, since respondents are persons.

    Raises
    ------
    EstimationError
        No such breakdown; the roles of a group are nobody else's, so that the two cannot be told
        apart; or organizations may not be scored (`aggregation_check`).
    TableError
        The organization table is needed and absent, or breaks its contract.

    Notes
    -----
    Least squares of the score on groups :math:`g` and roles :math:`r` without interaction; the row
    of a group is :math:`\hat\alpha_g + \sum_r w_r \hat\beta_r` with :math:`w_r` the share of role
    :math:`r` among all respondents with a score. Errors are CR1.
    """
    names = list(answers.scales) if scales is None else list(scales)
    if not names:
        raise EstimationError("the survey has no answered scale.\n  Name scales in `survey_item`.")
    group = group_of_respondents(answers, by, organization)
    if by == ORGANIZATION:
        for scale in names:
            require_aggregation(aggregation_check(answers, scale, rule=rule))
    use_role = adjust_for_role and by != ROLE
    tables = [_of_scale(answers, scale, group, by=by, use_role=use_role) for scale in names]
    return tables[0] if len(tables) == 1 else stack(tables)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Respondents with a score: the score, their group, role and organization."""

    score: np.ndarray
    group: np.ndarray
    role: np.ndarray
    organization: np.ndarray


def group_of_respondents(
    answers: SurveyAnswers, by: str | None, organization: pd.DataFrame | None
) -> pd.Series | None:
    """Group of each respondent; None without a breakdown.

    Raises
    ------
    EstimationError
        There is no such breakdown, or it needs the organization table.
    """
    people = answers.answers
    if by is None:
        return None
    if by in (ROLE, ORGANIZATION):
        return people[by].astype(object)
    if by not in TRAITS:
        known = ", ".join(f"`{name}`" for name in (ROLE, *TRAITS, ORGANIZATION))
        raise EstimationError(f"`by`: `{by}` cannot break down a survey.\n  Choose among {known}.")
    if organization is None:
        raise EstimationError(
            f"`by`: `{by}` is a trait of organizations, and `organization` was not given.\n"
            "  Pass the table `organization`."
        )
    return organization_trait(people[ORGANIZATION], organization, trait=by).astype(object)


def _of_scale(
    answers: SurveyAnswers, scale: str, group: pd.Series | None, *, by: str | None, use_role: bool
) -> EffectTable:
    """Scores of one scale."""
    scores = answers.scores(scale).to_numpy(dtype=float)
    used = np.isfinite(scores)
    if used.sum() < 2:
        raise EstimationError(
            f"scale `{scale}`: fewer than two respondents have a score.\n  Leave it out."
        )
    people = answers.answers[used]
    rows = _Rows(
        score=scores[used],
        group=(np.full(int(used.sum()), ALL) if group is None else group.to_numpy()[used]),
        role=people[ROLE].to_numpy(dtype=object),
        organization=people[ORGANIZATION].to_numpy(dtype=object),
    )
    by_person = by == ORGANIZATION
    labels, (design, weights) = _terms(rows, by=by, use_role=use_role, scale=scale)
    if by_person:  # the mean of all needs organizations as clusters: it is a table of its own
        labels, weights = labels[1:], weights[1:]
    n = np.array([(rows.group == g).sum() if g != ALL else len(rows.score) for g in labels])
    n_clusters = [_n_organizations(rows, g) for g in labels]
    clusters = np.arange(len(rows.score)) if by_person else rows.organization
    units = n if by_person else np.array(n_clusters)
    estimate, covariance = _fit(design, rows.score, weights, clusters)
    is_unknown = (units < 2) | (np.diag(covariance) < _NO_VARIANCE)
    covariance[is_unknown, :] = np.nan
    covariance[:, is_unknown] = np.nan
    is_one = np.zeros(len(n), dtype=bool) if by_person else units < 2
    n = np.where(is_one, 0, n)
    keys = pd.DataFrame(
        {"scale": scale, **({} if by is None else {by: labels})}, index=range(len(n))
    )
    return EffectTable(
        keys=keys,
        estimate=estimate,
        covariance=covariance,
        support=pd.DataFrame(
            {"n_members": n.astype(float), "n_events": n.astype(float), "member_months": np.nan}
        ),
        estimand=Estimand(
            name="Survey score",
            contrast="mean answer of respondents"
            + (", each group with the role mix of all" if use_role else ""),
            unit="points of the answer scale",
            is_causal=False,
        ),
        method=Method(
            "Mean scores by least squares, errors clustered by "
            + ("respondent" if by_person else "organization"),
            {"by": by or ALL, "adjusted_for_role": use_role},
        ),
        notes=(
            "Support counts respondents, not members.",
            *((_ONE_ORGANIZATION,) if is_one.any() else ()),
        ),
        degrees=np.maximum(units - 1.0, 1.0),
    )


def _n_organizations(rows: _Rows, group: str) -> int:
    """Organizations with a respondent in the group."""
    inside = rows.organization if group == ALL else rows.organization[rows.group == group]
    return len(set(inside))


def _terms(
    rows: _Rows, *, by: str | None, use_role: bool, scale: str
) -> tuple[list[str], tuple[np.ndarray, np.ndarray]]:
    """Labels of the rows, the design matrix, and what each row is made of."""
    groups = [ALL] if by is None else _ordered(rows.group, by)
    roles = _ordered(rows.role, ROLE) if use_role else []
    of_group = (rows.group[:, None] == np.array(groups, dtype=object)).astype(float)
    of_role = (rows.role[:, None] == np.array(roles, dtype=object)).astype(float)
    design = np.hstack([of_group, of_role[:, 1:]])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise EstimationError(
            f"scale `{scale}`: a group and a role have the same respondents, so that the two "
            "cannot be told apart.\n  Merge groups, or use adjust_for_role=False and say so."
        )
    role_mix = of_role.mean(axis=0)[1:]
    each = np.hstack([np.eye(len(groups)), np.tile(role_mix, (len(groups), 1))])
    if groups == [ALL]:
        return [ALL], (design, each)
    overall = np.concatenate([of_group.mean(axis=0), role_mix])
    return [ALL, *groups], (design, np.vstack([overall, each]))


def _ordered(values: np.ndarray, by: str) -> list[str]:
    """Values there are, in the order of the code list, the unknown last."""
    listed = list(FIELDS[by].values)

    def place(value: str) -> tuple[bool, int, str]:
        at = listed.index(value) if value in listed else len(listed)
        return value in (UNKNOWN, UNKNOWN_ROLE), at, value

    return sorted({str(value) for value in values}, key=place)


def _fit(
    design: np.ndarray, score: np.ndarray, weights: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Combinations of least-squares coefficients, and their covariance over clusters (CR1)."""
    bread = np.linalg.inv(design.T @ design)
    slope = bread @ design.T @ score
    residual = score - design @ slope
    _, code = np.unique(clusters, return_inverse=True)
    n_clusters = int(code.max()) + 1
    sums = np.zeros((n_clusters, design.shape[1]))
    np.add.at(sums, code, design * residual[:, None])
    n, p = design.shape
    scale = n_clusters / max(n_clusters - 1, 1) * (n - 1) / max(n - p, 1)
    influence = sums @ bread @ weights.T
    return weights @ slope, scale * influence.T @ influence
