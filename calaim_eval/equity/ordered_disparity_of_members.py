"""How an outcome rises or falls over ranked members: rows of members with weights and clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.disparity_formulas import gradient
from calaim_eval.equity.disparity_table import DisparityTable
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.equity.ordered_disparity import SCHLOTHEUBER, check_limits, chosen_measures
from calaim_eval.equity.ordered_formulas import Model, RankedMeasure, ranked_measures
from calaim_eval.equity.ranked_influence import (
    RankedMembers,
    Ranks,
    concentration_with_influence,
    ends_with_influence,
)
from calaim_eval.equity.ranked_rows import RankedRows, ranked_rows
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.equity.sampling_design import SamplingDesign, sampling_design
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, EffectTable, Estimand, Method


def ordered_disparity_of_members(
    frame: pd.DataFrame,
    *,
    outcome: str,
    rank: str,
    favourable: bool,
    model: Model,
    unit: str,
    order: Sequence[str] | None = None,
    weight: str | None = None,
    cluster: str | None = None,
    sampling_stratum: str | None = None,
    group: str | None = None,
    measures: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    ranks: Ranks = "sampled",
) -> DisparityTable:
    r"""Slope and concentration indices of an outcome over ranked members, with a sampling design.

    Use where there is a row a member (a survey, a linked file) and members have an order of
    advantage: a Healthy Places Index quartile, an income. `ordered_disparity` is for rates of
    groups; its values are the same, its errors know no clusters.

    Parameters
    ----------
    frame : pd.DataFrame
        A row a member, or several rows with the member's id as `cluster`.
    outcome, rank : str
        Columns. `rank` is a number, higher the more advantaged, or text with an `order`. Race,
        ethnicity, language, sex, plan and county have no order and are refused.
    favourable, measures, limits
        As in `ordered_disparity`.
    model : {"linear", "logit", "log"}
        As in `ordered_disparity`.
    unit : str
        Of the outcome, such as ``"share"``.
    order : sequence of str, optional
        Values of a text `rank` from the most disadvantaged to the most advantaged.
    weight : str, optional
        Sampling weights; default all alike.
    cluster, sampling_stratum : str, optional
        Primary sampling unit, and the stratum it was drawn in. Default each row is a cluster; all
        are in one stratum. Each cluster lies in one stratum.
    group : str, optional
        Measures for each value of this column, members ranked among their own; the covariance
        between groups is kept.
    ranks : {"sampled", "known"}
        Whether the error holds that ranks and the mean are estimated from the same members, which
        they are. ``"known"`` holds them, as survey regressions of an outcome on a ready-made rank
        do: for comparison with other tools; its errors may be too small or too large.

    Returns
    -------
    DisparityTable
        Signs as in `ordered_disparity`. No correction of bias and no draws with one common rate:
        `bias_corrected`, `if_equal` and `p_value_if_equal` are NaN. Intervals are Student's t with
        clusters less strata degrees of freedom.

    Raises
    ------
    TableError
        A column is not there, or a weight, cluster or stratum is missing.
    EstimationError
        The rank has no order, or an outcome lies outside `limits`.

    Notes
    -----
    Members stand at the middle :math:`x_i` of their rank's part of the weight. The covariance is
    by Taylor linearization [1]_: with :math:`z_i` the derivative of an index with respect to a
    member's share, summed by cluster,
    :math:`V = \sum_h \frac{n_h}{n_h-1} \sum_{c}(z_{hc} - \bar z_h)(z_{hc} - \bar z_h)'`.
    Derivatives through the ranks are exact [2]_. A stratum of one cluster is measured from the
    mean of all.

    References
    ----------
    .. [1] Binder DA (1983). Int Stat Rev 51:279-292. doi:10.2307/1402588
    .. [2] Kakwani N, Wagstaff A, van Doorslaer E (1997). J Econometrics 77:87-103.
       doi:10.1016/S0304-4076(96)01807-6

    Examples
    --------
    >>> members = pd.DataFrame({"income": [1, 2, 3, 4, 5, 6], "seen": [0, 0, 1, 0, 1, 1]})
    >>> found = ordered_disparity_of_members(members, outcome="seen", rank="income", unit="share",
    ...                                      favourable=True, model="linear")
    >>> round(found.value("relative_concentration"), 4)
    0.3889
    """
    check_option("model", model, get_args(Model))
    check_option("ranks", ranks, get_args(Ranks))
    named = [outcome, rank, weight, cluster, sampling_stratum, group]
    check_columns(frame, [n for n in named if n is not None])
    design = sampling_design(frame, cluster, sampling_stratum)
    rows = ranked_rows(frame, outcome=outcome, rank=rank, order=order, weight=weight)
    top = check_limits(rows.outcome[rows.is_used], limits, model, of_members=True)
    if model == "log" and (rows.outcome[rows.is_used] < 0).any():
        raise EstimationError(f"`{outcome}` is below 0 for some members; the log model has none.")
    chosen = chosen_measures(measures, ranked_measures(limits))
    parts = [
        _measured(rows.select(is_in), chosen, keys, model=model, top=top, ranks=ranks)
        for keys, is_in in _groups(frame, group)
    ]
    framing = "higher is better" if favourable else "lower is better"
    estimand = Estimand(
        f"{outcome}: disparity by {rank}",
        f"members compared over the order of {rank}, by weight; {framing}",
        unit,
        is_causal=False,
    )
    options = {
        "rank": rank,
        "order": None if order is None else ", ".join(order),
        "favourable": favourable,
        "model": model,
        "limits": limits,
        "weight": weight,
        "cluster": cluster,
        "sampling_stratum": sampling_stratum,
        "ranks": ranks,
        **rates_option(frame, outcome),
    }
    method = Method("Ordered disparity of members; Taylor linearization", options, SCHLOTHEUBER)
    notes = (*rows.notes, *_notes(design, ranks), *_undefined(parts))
    tables = [
        _table(parts, design, rank, estimand, method, notes, is_ratio=is_ratio)
        for is_ratio in (False, True)
    ]
    n = sum(len(t) for t in tables)
    extras = pd.DataFrame(
        np.full((n, 3), np.nan), columns=["bias_corrected", "if_equal", "p_value_if_equal"]
    )
    return DisparityTable(tables[0], tables[1], extras)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Measures of one group of members: estimates (m,), influence of all rows (n, m)."""

    keys: Mapping[str, str]
    measures: Mapping[str, RankedMeasure]
    estimate: np.ndarray
    influence: np.ndarray
    support: np.ndarray


def _groups(frame: pd.DataFrame, group: str | None) -> list[tuple[dict[str, str], np.ndarray]]:
    """Keys and rows of each group; one of all without `group`."""
    if group is None:
        return [({}, np.ones(len(frame), dtype=bool))]
    names = as_groups(frame[[group]], [group])[group].to_numpy()
    return [({group: str(name)}, names == name) for name in sorted(set(names))]


def _measured(
    rows: RankedRows,
    measures: Mapping[str, RankedMeasure],
    keys: Mapping[str, str],
    *,
    model: Model,
    top: float,
    ranks: Ranks,
) -> _Measured:
    """Measures of one group with the influence of every row of the frame."""
    members: RankedMembers = rows.members(keys)
    pairs = {"concentration": concentration_with_influence(members, ranks=ranks)}
    if any(m.source == "ends" for m in measures.values()):
        pairs["ends"] = ends_with_influence(members, model=model, top=top, ranks=ranks)
    estimate = np.zeros(len(measures))
    influence = np.zeros((len(rows.outcome), len(measures)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for i, measure in enumerate(measures.values()):
            pair, added = pairs[measure.source]
            estimate[i] = measure.formula(pair[0], pair[1])
            influence[rows.is_used, i] = added @ _slope(measure, pair)
    estimate[~np.isfinite(estimate)] = np.nan
    return _Measured(keys, measures, estimate, influence, rows.support())


def _slope(measure: RankedMeasure, at: np.ndarray) -> np.ndarray:
    """Derivative of a measure in its two numbers; shape (2,)."""
    return np.asarray(gradient(lambda v: measure.formula(v[..., 0], v[..., 1]), at)[0])


def _table(
    parts: list[_Measured],
    design: SamplingDesign,
    rank: str,
    estimand: Estimand,
    method: Method,
    notes: tuple[str, ...],
    *,
    is_ratio: bool,
) -> EffectTable:
    """Measures of differences, or of ratios, of all groups with their joint covariance."""
    units = {"rate": estimand.unit, "ratio": "rate ratio", "none": "none"}
    picked = [[(m.unit == "ratio") == is_ratio for m in p.measures.values()] for p in parts]
    keys = [
        {
            **p.keys,
            rank: ALL,
            "reference": "rank",
            "measure": name,
            "kind": m.kind,
            "weights": "population",
            "unit": units[m.unit],
        }
        for p in parts
        for name, m in p.measures.items()
        if (m.unit == "ratio") == is_ratio
    ]
    columns = [*parts[0].keys, rank, "reference", "measure", "kind", "weights", "unit"]
    influence = np.column_stack([p.influence[:, at] for p, at in zip(parts, picked, strict=True)])
    estimate = np.concatenate([p.estimate[at] for p, at in zip(parts, picked, strict=True)])
    support = [p.support for p, at in zip(parts, picked, strict=True) for each in at if each]
    return EffectTable(
        keys=pd.DataFrame(keys, columns=columns),
        estimate=estimate,
        covariance=design.covariance(influence),
        support=pd.DataFrame(
            np.reshape(support, (-1, 3)), columns=["n_members", "n_events", "member_months"]
        ),
        estimand=Estimand(
            estimand.name,
            estimand.contrast,
            "rate ratio" if is_ratio else "see `unit`",
            scale="ratio" if is_ratio else "difference",
            is_causal=False,
        ),
        method=method,
        notes=notes,
        degrees=np.full(len(estimate), float(design.degrees)),
    )


def _undefined(parts: list[_Measured]) -> tuple[str, ...]:
    """Measures without a value in some group, and why."""
    missing = [n for p in parts for n, v in zip(p.measures, p.estimate, strict=True) if np.isnan(v)]
    if not missing:
        return ()
    listed = ", ".join(f"`{n}`" for n in dict.fromkeys(missing))
    return (f"{listed}: not defined where a mean or predicted rate is 0, or a mean at its limit.",)


def _notes(design: SamplingDesign, ranks: Ranks) -> tuple[str, ...]:
    """What a reader must know of the errors."""
    notes = []
    if ranks == "known":
        notes.append(
            "Ranks, and the mean in concentration indices, are held as known: errors leave out "
            "that they are estimated from the same members."
        )
    if design.n_single:
        notes.append(
            f"{design.n_single:,} strata have one cluster, measured from the mean of all clusters."
        )
    return tuple(notes)
