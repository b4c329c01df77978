"""Rates as they would be in one common population: direct and indirect standardization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.groups import check_columns, in_group_order, key_list
from calaim_eval.errors import EstimationError
from calaim_eval.results.gamma_interval import fay_feuer_interval
from calaim_eval.results.intervals import (
    Bounds,
    byar_interval,
    dobson_interval,
    exact_poisson_interval,
    log_normal_interval,
)

FEW_EVENTS = 10
_COUNTS = ("events", "member_months")
_NEXT = (
    "Fill it from the source (0 where nothing happened), or leave the whole group out and say so.",
    "Take it from the members (a group needs two), or use an interval of independent events: "
    "without the column.",
)
DirectInterval = Literal["dobson", "fay_feuer"]
RatioInterval = Literal["byar_or_exact", "byar", "exact", "log_normal", "dobson"]


def direct_standardized_rate(
    cells: pd.DataFrame,
    *,
    by: str | Sequence[str],
    weights: pd.Series,
    band: str | Sequence[str] = "age_band",
    per: float = 1000.0,
    interval: DirectInterval = "dobson",
    conf_level: float = 0.95,
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
        Standard population by band, any scale; indexed by tuples in the order of `band` where
        there are several.
    band : str or sequence of str
        Column of the bands, or columns: age and sex and risk.
    per : float
        Member-months a rate refers to.
    interval : {"dobson", "fay_feuer"}
        ``"fay_feuer"`` (gamma) is wide enough where few events carry much weight.
    conf_level : float

    Returns
    -------
    pd.DataFrame
        `by`, `events`, `member_months`, `crude_rate`, `rate`, `std_error`, `conf_low`,
        `conf_high`. A group without events has no Dobson interval.

    Raises
    ------
    EstimationError
        A band has no weight, a group has no member-month in a band that has, a group's band
        repeats, or a number is not known.

    Notes
    -----
    :math:`\sum_b w_b\, O_b / n_b \,/\, \sum_b w_b`, variance
    :math:`\sum_b w_b^2 \operatorname{var}(O_b) / n_b^2 / (\sum_b w_b)^2` [1]_.

    References
    ----------
    .. [1] Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462.
       doi:10.1002/sim.4780100317
    .. [2] Fay MP, Feuer EJ (1997). Stat Med 16:791-801.
       doi:10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#

    Examples
    --------
    >>> cells = pd.DataFrame({"group": ["a", "a"], "age_band": ["young", "old"],
    ...                       "events": [10, 90], "member_months": [1000, 1000]})
    >>> weights = pd.Series({"young": 3, "old": 1})
    >>> direct_standardized_rate(cells, by="group", weights=weights)["rate"].tolist()
    [30.0]
    """
    check_option("interval", interval, get_args(DirectInterval))
    keys, bands = key_list(by), key_list(band)
    check_columns(cells, [*keys, *bands, "events", "member_months"])
    sums = direct_sums(cells, keys, bands=bands, weights=weights)
    return direct_table(sums, keys, per=per, interval=interval, conf_level=conf_level)


def direct_weights(cells: pd.DataFrame, *, bands: list[str], weights: pd.Series) -> np.ndarray:
    """What one event of each cell adds to its group's standardized rate; shape (n_cells,)."""
    share = (weights / weights.sum()).reindex(_band_index(cells, bands)).to_numpy(dtype=float)
    # A band of no weight may have no member-months.
    return np.asarray(share / np.where(share > 0, cells["member_months"].to_numpy(float), 1.0))


def direct_sums(
    cells: pd.DataFrame, keys: list[str], *, bands: list[str], weights: pd.Series
) -> pd.DataFrame:
    """Events, member-months, standardized rate, its variance and largest weight, by group."""
    _check_known_numbers(cells, "direct standardization", [*_COUNTS, "variance"])
    _check_bands(cells, keys, bands=bands, weights=weights)
    variance = cells["variance" if "variance" in cells.columns else "events"].to_numpy(dtype=float)
    each = direct_weights(cells, bands=bands, weights=weights)
    parts = cells[keys].assign(
        events=cells["events"].astype(float),
        member_months=cells["member_months"].astype(float),
        total=each * cells["events"].to_numpy(dtype=float),
        variance=each**2 * variance,
    )
    sums = parts.groupby(keys, as_index=False).sum()
    largest = cells[keys].assign(largest=each).groupby(keys, as_index=False)["largest"].max()
    return in_group_order(sums.merge(largest, on=keys), keys)


def direct_table(
    sums: pd.DataFrame, keys: list[str], *, per: float, interval: DirectInterval, conf_level: float
) -> pd.DataFrame:
    """Rates with their intervals from `direct_sums`."""
    low, high = _direct_bounds(sums, sums["largest"], interval, conf_level)
    has_events = (sums["events"] > 0).to_numpy()
    return sums[[*keys, "events", "member_months"]].assign(
        crude_rate=per * sums["events"] / sums["member_months"],
        rate=per * sums["total"],
        std_error=np.where(has_events, per * np.sqrt(sums["variance"]), np.nan),
        conf_low=per * low,
        conf_high=per * high,
    )


def _direct_bounds(
    sums: pd.DataFrame, largest: pd.Series, interval: DirectInterval, conf_level: float
) -> Bounds:
    """Interval of a weighted sum of counts, per member-month."""
    total, variance = (sums[c].to_numpy(dtype=float) for c in ("total", "variance"))
    if interval == "fay_feuer":
        return fay_feuer_interval(
            total, variance=variance, largest_weight=largest.to_numpy(), conf_level=conf_level
        )
    low, high = dobson_interval(
        total, variance=variance, count=sums["events"].to_numpy(), conf_level=conf_level
    )
    # Without an event Dobson's interval has no width to go by.
    has_events = (sums["events"] > 0).to_numpy()
    return np.where(has_events, low, np.nan), np.where(has_events, high, np.nan)


def indirect_standardized_ratio(
    cells: pd.DataFrame,
    *,
    by: str | Sequence[str],
    standard: pd.DataFrame,
    band: str | Sequence[str] = "age_band",
    per: float = 1.0,
    interval: RatioInterval = "byar_or_exact",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""Observed over expected events: the standard's rates in each group's own population.

    Use where groups are too small for their own rates by band. Ratios of two groups are not
    comparable with each other, each only with the standard.

    Parameters
    ----------
    cells : pd.DataFrame
        One row per group and band: `by`, `band`, `events`, `member_months`, and optionally
        `variance` of the events, clustered by member.
    by : str or sequence of str
        Grouping columns.
    standard : pd.DataFrame
        `band`, `events`, `member_months` of the standard population.
    band : str or sequence of str
        Column of the bands, or columns: age and sex and risk.
    per : float
        Member-months the standardized rate refers to.
    interval : {"byar_or_exact", "byar", "exact", "log_normal", "dobson"}
        Byar's, the exact one (gamma quantiles), or the exact one below ten events and Byar's from
        there; log-normal with standard error :math:`1/\sqrt{O}`. These take events as independent.
        ``"dobson"`` takes `variance`, so that repeat events of a member may depend on each other.
    conf_level : float

    Returns
    -------
    pd.DataFrame
        `by`, `events`, `expected`, `ratio` (above 1: more events than at the standard's rates),
        `conf_low`, `conf_high`, `rate` (ratio times the standard's crude rate), `rate_conf_low`,
        `rate_conf_high`. The standard's rates are taken as known.

    Raises
    ------
    EstimationError
        A band is missing from the standard, repeats or has no member-months there, no event is
        expected in a group, a number is not known, or ``"dobson"`` is asked for without `variance`.

    References
    ----------
    .. [1] Breslow NE, Day NE (1987). Statistical methods in cancer research II, IARC, p. 65-72.

    Examples
    --------
    >>> cells = pd.DataFrame({"group": ["a", "a"], "age_band": ["young", "old"],
    ...                       "events": [10, 90], "member_months": [1000, 1000]})
    >>> standard = pd.DataFrame({"age_band": ["young", "old"], "events": [10, 40],
    ...                          "member_months": [1000, 1000]})
    >>> indirect_standardized_ratio(cells, by="group", standard=standard)["ratio"].tolist()
    [2.0]
    """
    check_option("interval", interval, get_args(RatioInterval))
    keys, bands = key_list(by), key_list(band)
    check_columns(cells, [*keys, *bands, "events", "member_months"])
    check_columns(standard, [*bands, "events", "member_months"])
    read = [*_COUNTS, "variance"] if interval == "dobson" else _COUNTS
    _check_known_numbers(cells, "indirect standardization", read)
    _check_known_numbers(standard, "indirect standardization, the standard", _COUNTS)
    rates = standard.set_index(_band_index(standard, bands))
    _check_known_bands(cells, bands=bands, known=rates.index)
    rate = rates["events"] / rates["member_months"]
    months = cells["member_months"].to_numpy(dtype=float)
    each = rate.reindex(_band_index(cells, bands)).to_numpy(dtype=float)
    _check_expected(each, months)
    sums = cells[keys].assign(
        events=cells["events"].astype(float),
        expected=np.where(months > 0, each, 0.0) * months,
        variance=cells["variance"] if "variance" in cells.columns else np.nan,
    )
    sums = in_group_order(sums.groupby(keys, as_index=False).sum(min_count=1), keys)
    empty = int((~(sums["expected"] > 0)).sum())
    if empty:
        raise EstimationError(
            f"indirect standardization: no event is expected in {empty} of {len(sums)} groups; "
            "the ratio is not defined.\n  Use a standard with events in their bands."
        )
    low, high = _ratio_bounds(sums, interval, conf_level)
    crude = per * rates["events"].sum() / rates["member_months"].sum()
    expected = sums["expected"]
    return sums.drop(columns="variance").assign(
        ratio=sums["events"] / expected,
        conf_low=low / expected,
        conf_high=high / expected,
        rate=crude * sums["events"] / expected,
        rate_conf_low=crude * low / expected,
        rate_conf_high=crude * high / expected,
    )


def _ratio_bounds(sums: pd.DataFrame, interval: RatioInterval, conf_level: float) -> Bounds:
    """Interval of the observed events."""
    observed = sums["events"].to_numpy(dtype=float)
    if interval == "log_normal":
        return log_normal_interval(observed, np.sqrt(observed), conf_level=conf_level)
    if interval == "dobson":
        variance = sums["variance"].to_numpy(dtype=float)
        lacking = int(np.isnan(variance).sum())
        if lacking:
            raise EstimationError(
                f'interval="dobson" needs `variance` of the events; {lacking} of {len(sums)} '
                'groups have none.\n  Take it from the members, or use "byar_or_exact".'
            )
        return dobson_interval(observed, variance=variance, count=observed, conf_level=conf_level)
    exact = exact_poisson_interval(observed, conf_level=conf_level)
    byar = byar_interval(observed, conf_level=conf_level)
    few = {"byar_or_exact": observed < FEW_EVENTS, "byar": False, "exact": True}[interval]
    return np.where(few, exact[0], byar[0]), np.where(few, exact[1], byar[1])


def _check_known_numbers(frame: pd.DataFrame, where: str, columns: Sequence[str]) -> None:
    """Raise EstimationError for a number that is missing or infinite: sums would leave it out."""
    for column in columns:
        if column not in frame.columns:
            continue
        bad = int((frame[column].isna() | frame[column].isin([np.inf, -np.inf])).sum())
        if bad:
            raise EstimationError(
                f"{where}: `{column}` is not known in {bad} of {len(frame)} rows; a sum would "
                f"count it as 0.\n  {_NEXT[column == 'variance']}"
            )


def _check_expected(rate: np.ndarray, months: np.ndarray) -> None:
    """Raise EstimationError where members are in a band in which the standard has no rate."""
    lacking = int((~np.isfinite(rate) & (months > 0)).sum())
    if lacking:
        raise EstimationError(
            f"indirect standardization: the standard has no member-month in a band of {lacking} of "
            f"{len(rate)} rows that have some; no event can be expected there.\n  Use wider bands, "
            "or a standard that has members in each."
        )


def _band_index(frame: pd.DataFrame, bands: list[str]) -> pd.Index:
    """Band of each row: its value, or a tuple where there are several columns."""
    if len(bands) == 1:
        return pd.Index(frame[bands[0]])
    return pd.MultiIndex.from_frame(frame[bands])


def _check_bands(
    cells: pd.DataFrame, keys: list[str], *, bands: list[str], weights: pd.Series
) -> None:
    """Every band has one weight, and every group member-months in every weighted band."""
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
        raise EstimationError(
            "direct standardization: `weights` must be 0 or more, known, and not all 0; "
            f"{int((~(weights >= 0)).sum())} of {len(weights)} are not."
        )
    _check_known_bands(cells, bands=bands, known=weights.index)
    repeats = int(cells.duplicated([*keys, *bands]).sum())
    if repeats:
        raise EstimationError(
            f"direct standardization: {repeats} of {len(cells)} rows repeat a group and band; "
            "add their events and member-months up first."
        )
    weighted = weights.reindex(_band_index(cells, bands)).to_numpy() > 0
    covered = cells[weighted & (cells["member_months"] > 0).to_numpy()].groupby(keys).size()
    groups = cells[keys].drop_duplicates()
    wanted = int((weights > 0).sum())
    lacking = len(groups) - int((covered == wanted).sum())
    if lacking:
        raise EstimationError(
            f"direct standardization: {lacking} of {len(groups)} groups have no member-month in "
            f"one of the {wanted} bands of {_names(bands)}.\n  Use wider bands, or indirect "
            "standardization."
        )


def _check_known_bands(cells: pd.DataFrame, *, bands: list[str], known: pd.Index) -> None:
    """Raise EstimationError when a band is not in the standard, or the standard repeats one."""
    unknown = [str(b) for b in _band_index(cells, bands).unique() if b not in known]
    if unknown:
        raise EstimationError(
            f"standardization: {_names(bands)} has {len(unknown)} bands the standard lacks: "
            f"{', '.join(f'`{b}`' for b in sorted(unknown))}."
        )
    repeats = int(known.duplicated().sum())
    if repeats:
        raise EstimationError(
            f"standardization: {repeats} of {len(known)} bands of the standard repeat; it has one "
            "row a band."
        )


def _names(bands: list[str]) -> str:
    """Columns of the bands, for a message."""
    return ", ".join(f"`{b}`" for b in bands)
