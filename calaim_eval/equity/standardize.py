"""Rates as they would be in one common population: direct and indirect standardization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.equity.groups import check_columns, in_group_order, key_list
from calaim_eval.errors import EstimationError
from calaim_eval.results.intervals import byar_interval, dobson_interval, exact_poisson_interval

FEW_EVENTS = 10


def direct_standardized_rate(
    cells: pd.DataFrame,
    *,
    by: str | Sequence[str],
    weights: pd.Series,
    band: str = "age_band",
    per: float = 1000.0,
) -> pd.DataFrame:
    r"""Directly standardized rate of each group: its own rates in a standard population.

    Use to compare groups whose ages differ. Show it beside the crude rate: it answers another
    question, and standardizing for what the inequity works through hides the inequity.

    Parameters
    ----------
    cells : pd.DataFrame
        One row per group and band: `by`, `band`, `events`, `member_months`, and optionally
        `variance` (of the events, e.g. clustered by member). Without it events count as
        independent.
    by : str or sequence of str
        Grouping columns.
    weights : pd.Series
        Standard population by band, any scale.
    band : str
        Column of the bands.
    per : float
        Member-months a rate refers to.

    Returns
    -------
    pd.DataFrame
        `by`, `events`, `member_months`, `crude_rate`, `rate`, `std_error`, `conf_low`,
        `conf_high` (95 %, Dobson).

    Raises
    ------
    EstimationError
        A band has no weight, or a group has no member-month in a band that has.

    Notes
    -----
    :math:`\sum_b w_b\, O_b / n_b \,/\, \sum_b w_b`, variance
    :math:`\sum_b w_b^2 \operatorname{var}(O_b) / n_b^2 / (\sum_b w_b)^2` [1]_.

    References
    ----------
    .. [1] Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462.
       doi:10.1002/sim.4780100317

    Examples
    --------
    >>> cells = pd.DataFrame({"group": ["a", "a"], "age_band": ["young", "old"],
    ...                       "events": [10, 90], "member_months": [1000, 1000]})
    >>> weights = pd.Series({"young": 3, "old": 1})
    >>> direct_standardized_rate(cells, by="group", weights=weights)["rate"].tolist()
    [30.0]
    """
    keys = key_list(by)
    check_columns(cells, [*keys, band, "events", "member_months"])
    _check_bands(cells, keys, band=band, weights=weights)
    share = (weights / weights.sum()).reindex(cells[band]).to_numpy(dtype=float)
    variance = cells["variance"] if "variance" in cells.columns else cells["events"]
    parts = cells[keys].assign(
        events=cells["events"].astype(float),
        member_months=cells["member_months"].astype(float),
        total=share * (cells["events"] / cells["member_months"]).to_numpy(),
        variance=share**2 * (variance / cells["member_months"] ** 2).to_numpy(),
    )
    sums = in_group_order(parts.groupby(keys, as_index=False).sum(), keys)
    low, high = dobson_interval(sums["total"], variance=sums["variance"], count=sums["events"])
    has_events = (sums["events"] > 0).to_numpy()
    return sums[[*keys, "events", "member_months"]].assign(
        crude_rate=per * sums["events"] / sums["member_months"],
        rate=per * sums["total"],
        std_error=np.where(has_events, per * np.sqrt(sums["variance"]), np.nan),
        conf_low=np.where(has_events, per * low, np.nan),
        conf_high=np.where(has_events, per * high, np.nan),
    )


def indirect_standardized_ratio(
    cells: pd.DataFrame,
    *,
    by: str | Sequence[str],
    standard: pd.DataFrame,
    band: str = "age_band",
) -> pd.DataFrame:
    r"""Observed over expected events: the standard's rates in each group's own population.

    Use where groups are too small for their own rates by band. Ratios of two groups are not
    comparable with each other, each only with the standard.

    Parameters
    ----------
    cells : pd.DataFrame
        One row per group and band: `by`, `band`, `events`, `member_months`.
    by : str or sequence of str
        Grouping columns.
    standard : pd.DataFrame
        `band`, `events`, `member_months` of the standard population.
    band : str
        Column of the bands.

    Returns
    -------
    pd.DataFrame
        `by`, `events`, `expected`, `ratio` (above 1: more events than at the standard's rates),
        `conf_low`, `conf_high` (95 %; Byar's, exact below ten events), `rate` (ratio times the
        standard's crude rate, per member-month). Events count as independent.

    Raises
    ------
    EstimationError
        A band is missing from the standard, or no event is expected in a group.
    """
    keys = key_list(by)
    check_columns(cells, [*keys, band, "events", "member_months"])
    check_columns(standard, [band, "events", "member_months"])
    rates = standard.set_index(band)
    _check_known_bands(cells, band=band, known=rates.index)
    rate = (rates["events"] / rates["member_months"]).reindex(cells[band]).to_numpy(dtype=float)
    sums = cells[keys].assign(
        events=cells["events"].astype(float), expected=rate * cells["member_months"].to_numpy()
    )
    sums = in_group_order(sums.groupby(keys, as_index=False).sum(), keys)
    empty = int((sums["expected"] <= 0).sum())
    if empty:
        raise EstimationError(
            f"indirect standardization: no event is expected in {empty} of {len(sums)} groups; "
            "the ratio is not defined.\n  Use a standard with events in their bands."
        )
    observed = sums["events"].to_numpy()
    few = observed < FEW_EVENTS
    exact, byar = exact_poisson_interval(observed), byar_interval(observed)
    crude = rates["events"].sum() / rates["member_months"].sum()
    return sums.assign(
        ratio=sums["events"] / sums["expected"],
        conf_low=np.where(few, exact[0], byar[0]) / sums["expected"],
        conf_high=np.where(few, exact[1], byar[1]) / sums["expected"],
        rate=crude * sums["events"] / sums["expected"],
    )


def _check_bands(cells: pd.DataFrame, keys: list[str], *, band: str, weights: pd.Series) -> None:
    """Every band has a weight, and every group member-months in every weighted band."""
    _check_known_bands(cells, band=band, known=weights.index)
    covered = cells[cells["member_months"] > 0].groupby(keys)[band].nunique()
    groups = cells[keys].drop_duplicates()
    wanted = int((weights > 0).sum())
    lacking = len(groups) - int((covered == wanted).sum())
    if lacking:
        raise EstimationError(
            f"direct standardization: {lacking} of {len(groups)} groups have no member-month in "
            f"one of the {wanted} bands of `{band}`.\n  Use wider bands, or indirect "
            "standardization."
        )


def _check_known_bands(cells: pd.DataFrame, *, band: str, known: pd.Index) -> None:
    """Raise EstimationError when a band of the cells is not in the standard."""
    unknown = sorted({str(b) for b in cells[band]} - {str(b) for b in known})
    if unknown:
        raise EstimationError(
            f"standardization: `{band}` has {len(unknown)} bands the standard lacks: "
            f"{', '.join(f'`{b}`' for b in unknown)}."
        )
