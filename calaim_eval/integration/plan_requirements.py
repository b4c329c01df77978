"""How alike plans' requirements are, and what their differences cost organizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.about_organizations import about_organizations
from calaim_eval.integration.contracts import contracts_in_force, organization_trait, trait_values
from calaim_eval.integration.inputs import Day, quarter_days
from calaim_eval.integration.requirement_settings import (
    ElementKind,
    alike_written,
    gower_similarity,
    kinds_of_elements,
    number_span,
    requirements_on,
)
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

_GOWER = "Gower JC (1971). Biometrics 27(4):857-871. doi:10.2307/2528823"
_SIMILARITY = "similarity, 0 (nothing alike) to 1 (the same)"


def plan_similarity(
    plan_requirement: pd.DataFrame,
    *,
    as_of: Day,
    kinds: Mapping[str, ElementKind] | None = None,
    weights: Mapping[str, float] | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    r"""Gower similarity of every two plans, over all elements.

    Parameters
    ----------
    plan_requirement : pd.DataFrame
        Columns of the table `plan_requirement`: settings such as fields, codes, portal, cadence,
        authorization days and rate.
    as_of : day
        Settings in force on it.
    kinds : mapping of element to {"category", "number", "set"}, optional
        Default: a number where every setting is one, a set where settings hold semicolons.
    weights : mapping of element to float, optional
        Default: 1 for each element. 0 leaves an element out.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys ``plan``, ``other_plan`` (each pair once); numerator: sum of weighted similarities;
        denominator: weights of the elements recorded for both; the rate is the similarity. About
        plans: `about="organizations"`.

    Raises
    ------
    TableError
        Columns are absent, or a plan has two settings of an element.
    EstimationError
        Fewer than two plans, or weights or kinds that do not fit.

    Notes
    -----
    :math:`S_{ij} = \sum_k w_k s_{ijk} / \sum_k w_k` over the elements recorded for both [1]_;
    :math:`s` is 1 or 0 for categories, :math:`1 - |x_i - x_j|/\text{range}` for numbers, shared
    over all entries for sets.

    References
    ----------
    .. [1] Gower JC (1971). A general coefficient of similarity and some of its properties.
       Biometrics 27(4):857-871. doi:10.2307/2528823

    Examples
    --------
    >>> settings = pd.DataFrame(
    ...     {
    ...         "plan": ["a", "a", "b", "b"],
    ...         "requirement": ["portal", "authorization_days"] * 2,
    ...         "requirement_value": ["own", "3", "own", "5"],
    ...     }
    ... )
    >>> plan_similarity(settings, as_of="2024-12-31").rate.tolist()
    [0.5]
    """
    ((plans, similar, weight),) = _compared(
        plan_requirement, days=[as_of], kinds=kinds, weights=weights, ledger=ledger
    )
    first, second = np.triu_indices(len(plans), 1)
    pairs = np.array([s[first, second] for s in similar.values()])
    w = np.array([weight[name] for name in similar])[:, None]
    known = np.isfinite(pairs)
    return about_organizations(
        "How alike plans' requirements are",
        pd.DataFrame({"plan": plans[first], "other_plan": plans[second]}),
        (w * np.where(known, pairs, 0.0)).sum(axis=0),
        (w * known).sum(axis=0),
        names=("weighted_similarity_of_requirements", "weight_of_elements_compared"),
        unit=_SIMILARITY,
        kind="proportion",
        method=Method("Gower similarity", {"as_of": str(pd.Timestamp(as_of).date())}, _GOWER),
    )


def requirement_standardization(
    plan_requirement: pd.DataFrame,
    *,
    as_of: Day | Sequence[Day],
    kinds: Mapping[str, ElementKind] | None = None,
    weights: Mapping[str, float] | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Mean similarity of two plans, element by element: which requirement differs most.

    Parameters
    ----------
    plan_requirement, kinds, weights, ledger
        As in `plan_similarity`.
    as_of : day or sequence of days
        With several, the table has a row for each: did requirements grow alike? Kinds of
        elements, and ranges of numbers, are then those over all days, so that days compare.

    Returns
    -------
    RateTable
        Keys ``requirement`` (``"all"``: over all elements, the sum of the rows) and ``as_of``;
        numerator: sum of weighted similarities over pairs of plans; denominator: pairs compared,
        times the weight.
    """
    days = [as_of] if isinstance(as_of, str) or not isinstance(as_of, Sequence) else list(as_of)
    parts = []
    compared = _compared(plan_requirement, days=days, kinds=kinds, weights=weights, ledger=ledger)
    for day, (plans, similar, weight) in zip(days, compared, strict=True):
        pairs = np.triu_indices(len(plans), 1)
        names = [name for name in similar if weight[name] > 0]
        sums = [weight[name] * np.nansum(similar[name][pairs]) for name in names]
        counts = [weight[name] * np.isfinite(similar[name][pairs]).sum() for name in names]
        parts.append(
            pd.DataFrame(
                {
                    "requirement": [ALL, *names],
                    "as_of": str(pd.Timestamp(day).date()),
                    "numerator": [sum(sums), *sums],
                    "denominator": [sum(counts), *counts],
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return about_organizations(
        "Standardization of plan requirements",
        frame[["requirement", "as_of"]],
        frame["numerator"].to_numpy(dtype=float),
        frame["denominator"].to_numpy(dtype=float),
        names=("similarity_of_pairs_of_plans", "pairs_of_plans_compared"),
        unit=_SIMILARITY,
        kind="proportion",
        method=Method("Mean Gower similarity of two plans", {}, _GOWER),
        margins=("requirement",),
    )


def requirement_burden(
    plan_requirement: pd.DataFrame,
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    by: str = "organization_type",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Further versions of each requirement an organization must handle, beyond the first.

    An organization under contract with three plans that ask for two layouts of the return file
    has one further version of it. Zero everywhere: one way of working serves every plan.

    Parameters
    ----------
    plan_requirement, contract, organization : pd.DataFrame
        Columns of the tables of these names.
    quarter : str
        Contracts in force in it; settings in force on its last day.
    by : str
        Trait of the organization: ``"organization_type"``, ``"leadership"``,
        ``"population_served"`` and so on.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys `by` and ``requirement``, both with the margin ``"all"``; numerator: further
        versions, summed over organizations; denominator: organizations under contract with a plan
        whose requirements are recorded. The rows of the elements add up to ``"all"``.

    Raises
    ------
    TableError
        Columns are absent or contradict each other.
    EstimationError
        No contract in force, or none with a plan whose requirements are recorded.
    """
    versions, trait = _versions(
        plan_requirement, contract, organization, quarter=quarter, by=by, ledger=ledger
    )
    further = np.maximum(versions - 1, 0)
    elements = list(further.columns)
    order = [ALL, *trait_values(by, trait)]
    rows = []
    for value in order:
        inside = further if value == ALL else further[(trait == value).to_numpy()]
        sums = inside.sum(axis=0).to_numpy(dtype=float)
        rows.append(np.concatenate([[sums.sum()], sums]))
    sizes = [len(trait), *(int((trait == value).sum()) for value in order[1:])]
    keys = pd.MultiIndex.from_product([order, [ALL, *elements]], names=[by, "requirement"])
    return about_organizations(
        "Further versions of requirements by organization",
        keys.to_frame(index=False),
        np.concatenate(rows),
        np.repeat(np.array(sizes, dtype=float), len(elements) + 1),
        names=("further_versions_of_requirements", "organizations_under_recorded_requirements"),
        unit="further versions per organization",
        method=Method("Distinct settings less one, per organization", {"quarter": quarter}),
        margins=(by, "requirement"),
        kind="rate",
    )


def distinct_layouts(
    plan_requirement: pd.DataFrame,
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    by: str = "organization_type",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Distinct sets of requirements an organization works under, all elements taken together.

    Parameters
    ----------
    plan_requirement, contract, organization, quarter, by, ledger
        As in `requirement_burden`.

    Returns
    -------
    RateTable
        Key `by` with its margin; numerator: distinct layouts, summed over organizations;
        denominator: organizations. Two plans have one layout when no element recorded for both
        differs and none is recorded for one alone.
    """
    settings, pairs, trait = _contracted(
        plan_requirement, contract, organization, quarter=quarter, by=by, ledger=ledger
    )
    layout = settings.fillna("").agg("\x1f".join, axis=1)
    coded = pairs.assign(layout=pairs["plan"].map(layout))
    count = coded.groupby("organization_id")["layout"].nunique().reindex(trait.index)
    order = [ALL, *trait_values(by, trait)]
    is_in = [np.full(len(trait), fill_value=True), *((trait == v).to_numpy() for v in order[1:])]
    return about_organizations(
        "Distinct layouts by organization",
        pd.DataFrame({by: order}),
        np.array([count[mask].sum() for mask in is_in], dtype=float),
        np.array([mask.sum() for mask in is_in], dtype=float),
        names=("distinct_layouts", "organizations_under_recorded_requirements"),
        unit="layouts per organization",
        method=Method("Distinct combinations of settings per organization", {"quarter": quarter}),
        margins=(by,),
        kind="rate",
    )


def _compared(
    plan_requirement: pd.DataFrame,
    *,
    days: Sequence[Day],
    kinds: Mapping[str, ElementKind] | None,
    weights: Mapping[str, float] | None,
    ledger: RowLedger | None,
) -> list[tuple[np.ndarray, dict[str, np.ndarray], dict[str, float]]]:
    """By day: plans, the similarity matrix of each element, and the elements' weights."""
    by_day = [requirements_on(plan_requirement, as_of=day, ledger=ledger) for day in days]
    if any(len(settings) < 2 for settings in by_day):
        raise EstimationError(
            "table `plan_requirement`: fewer than two plans have requirements in force.\n"
            "  Similarity needs two."
        )
    all_days = pd.concat(by_day)
    found = kinds_of_elements(all_days, kinds)
    given = dict(weights or {})
    if any(name not in found for name in given) or any(not w >= 0 for w in given.values()):
        raise EstimationError(
            "`weights` name an element that no plan requires, or one is below 0.\n"
            f"  Elements: {', '.join(f'`{name}`' for name in found)}."
        )
    weight = {name: float(given.get(name, 1.0)) for name in found}
    span = {name: number_span(all_days[name]) for name in found}
    return [
        (
            settings.index.to_numpy(dtype=object),
            {
                name: gower_similarity(settings[name], found[name], span=span[name])
                for name in settings.columns
            },
            weight,
        )
        for settings in by_day
    ]


def _contracted(
    plan_requirement: pd.DataFrame,
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    by: str,
    ledger: RowLedger | None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Settings by plan, organization-plan pairs with recorded settings, trait by organization."""
    _, last = quarter_days(quarter)
    settings = requirements_on(plan_requirement, as_of=last, ledger=ledger)
    settings = alike_written(settings, kinds_of_elements(settings))
    rows = contracts_in_force(contract, quarter=quarter, ledger=ledger, stage="requirement burden")
    pairs = rows[["organization_id", "plan"]].drop_duplicates()
    pairs = pairs[pairs["plan"].isin(settings.index)].reset_index(drop=True)
    if pairs.empty:
        raise EstimationError(
            "no organization is under contract with a plan whose requirements are recorded.\n"
            "  Check that `plan` is written alike in `contract` and `plan_requirement`."
        )
    ids = pd.Series(pairs["organization_id"].unique())
    trait = organization_trait(ids, organization, trait=by)
    return settings, pairs, pd.Series(trait.to_numpy(), index=ids.to_numpy())


def _versions(
    plan_requirement: pd.DataFrame,
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    by: str,
    ledger: RowLedger | None,
) -> tuple[pd.DataFrame, pd.Series]:
    """Distinct settings of each element an organization meets, and its trait."""
    settings, pairs, trait = _contracted(
        plan_requirement, contract, organization, quarter=quarter, by=by, ledger=ledger
    )
    met = settings.reindex(pairs["plan"]).reset_index(drop=True)
    versions = met.groupby(pairs["organization_id"]).nunique().reindex(trait.index)
    return versions, trait
