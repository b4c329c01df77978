"""A gap in a rate that is made of several factors, split between the factors (Das Gupta)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.decomposition_table import ordered_groups, pair_support, parts_table
from calaim_eval.equity.groups import as_groups, check_columns, in_group_order
from calaim_eval.equity.mixed_rates import (
    RateFunction,
    effect_weights,
    function_rates,
    product_rates,
    standardizing_weights,
)
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.results import ALL, SUPPORT_COLUMNS, EffectTable, Estimand, Method, Scale
from calaim_eval.results.smallest_support import smallest_support

Quantity = Literal["effect", "standardized_rate"]
MOST_FACTORS = 5
DAS_GUPTA = (
    "Das Gupta P (1993). Standardization and decomposition of rates: a user's manual. U.S. Bureau "
    "of the Census, Current Population Reports P23-186"
)
READING = (
    "A factor's part is the change of the rate when this factor alone is exchanged, averaged over "
    "all states of the others. It is arithmetic, not the effect of an intervention on the factor."
)


def das_gupta(
    data: pd.DataFrame,
    *,
    factors: Sequence[str],
    reference: str,
    unit: str,
    by: str = "race_ethnicity",
    within: str | None = None,
    rate: RateFunction | None = None,
    std_errors: Mapping[str, str] | None = None,
    quantity: Quantity = "effect",
    scale: Scale = "difference",
    per: float = 1.0,
) -> EffectTable:
    r"""Split a gap in a rate between the 2 to 5 factors it is made of.

    Use where a rate is a product (members served = identified x reached x served among reached) or
    another function of factors known for each group. For one stratifying variable see `kitagawa`.

    Parameters
    ----------
    data : pd.DataFrame
        One row per group (and stratum of `within`): `by`, the factors, and optionally `n_members`,
        `n_events`, `member_months`, which disclosure control reads.
    factors : sequence of str
        2 to 5 numeric columns.
    reference : str
        Group the others are compared with, by name.
    unit : str
        Unit of the rate in words, after `per`.
    by : str
        Column with the groups.
    within : str, optional
        Column of strata over which the product of the factors is added up; every group has each.
        Rows of "all" are left out.
    rate : callable, optional
        The rate as a function of a frame with the factors of one population, a row per stratum in
        the order of the labels; default the product of the factors, summed over strata.
    std_errors : mapping of str to str, optional
        Column with the standard error of each factor; the factors of all groups and strata are
        taken as independent. A factor left out has none. Default: no intervals.
    quantity : {"effect", "standardized_rate"}
        Parts of the gap; or the rates of both groups with each factor at its own value and the
        others averaged, whose difference is the part.
    scale : {"difference", "ratio"}
        Group minus reference (parts add up), or group over reference (parts multiply).
    per : float
        Multiplies rates and differences.

    Returns
    -------
    EffectTable
        Descriptive. Keys `by`, `reference`, `component` ("gap" and the factors); with
        ``"standardized_rate"`` instead `population` (group or reference) and `component`.

    Raises
    ------
    EstimationError
        Fewer than 2 or more than 5 factors, the reference is absent, a rate is not defined.
    TableError
        A column is missing, a group repeats or lacks a stratum, a factor is not known.

    Notes
    -----
    With :math:`R(S)` the rate where the factors in :math:`S` are the group's and the others the
    reference's, the part of factor :math:`j` of :math:`P` is

    .. math:: \sum_{S \not\ni j} \frac{|S|!\,(P-|S|-1)!}{P!}\,[R(S \cup j) - R(S)]

    which is Das Gupta's formula for two populations (and the Shapley value); with
    ``scale="ratio"`` of :math:`\log R`. Every group is compared with the reference alone: parts of
    two groups do not subtract to the parts of the gap between them.

    References
    ----------
    Das Gupta P (1993), Current Population Reports P23-186. Shorrocks AF (2013), J Econ Inequal
    11:99-126. doi:10.1007/s10888-011-9214-z

    Examples
    --------
    Mean earnings of Black and White men: per earner, and the share who earn (Das Gupta's 2.1).

    >>> men = pd.DataFrame({"group": ["black", "white"], "per_earner": [10930, 16591],
    ...                     "share_earning": [0.717892, 0.825974]})
    >>> parts = das_gupta(men, by="group", factors=["per_earner", "share_earning"],
    ...                   reference="black", unit="dollars")
    >>> parts.to_frame()[["component", "estimate"]].round(1).values.tolist()
    [['gap', 5857.2], ['per_earner', 4369.9], ['share_earning', 1487.3]]
    """
    check_option("scale", scale, ("difference", "ratio"))
    check_option("quantity", quantity, ("effect", "standardized_rate"))
    names = list(factors)
    errors = dict(std_errors or {})
    _check_factors(names, errors, quantity=quantity, scale=scale)
    frame = _checked(data, by=by, within=within, names=names, errors=errors)
    groups, others = ordered_groups(frame[by], reference=reference)
    values = _stacked(frame, by=by, groups=groups, columns=names)
    variance = _variances(frame, by=by, groups=groups, names=names, errors=errors)
    base = groups.index(reference)
    weights = _weights(len(names), quantity)
    effects, slopes = [], []
    for group in (groups.index(g) for g in others):
        mixed = (
            product_rates(values[group], values[base])
            if rate is None
            else function_rates(values[group], values[base], names=names, rate=rate)
        )
        mixed = mixed.log() if scale == "ratio" else mixed
        slope = np.zeros((len(weights), *values.shape))
        slope[:, [group, base]] = np.tensordot(weights, mixed.gradient, axes=1)
        effects.append(weights @ mixed.value)
        slopes.append(slope.reshape(len(weights), -1))
    slope = np.concatenate(slopes)
    minus = "minus" if scale == "difference" else "over"
    return parts_table(
        np.concatenate(effects),
        (slope * variance.ravel()) @ slope.T,
        by=by,
        others=others,
        reference=reference,
        rows=_rows(names, quantity),
        support=pair_support(_support(frame, by=by), others, reference=reference),
        scale=scale,
        per=per,
        estimand=Estimand(
            "Parts of the gap by factor"
            if quantity == "effect"
            else "Rates with the other factors averaged",
            f"rate in the group {minus} rate in '{reference}', in parts by factor"
            if quantity == "effect"
            else f"rate at a factor of the group or of '{reference}'",
            unit if scale == "difference" else "rate ratio",
            scale=scale,
            is_causal=False,
        ),
        method=Method(
            "Das Gupta decomposition",
            {
                "factors": tuple(names),
                "reference": reference,
                "scale": scale,
                "rate": "product" if rate is None else "function of the caller",
                "std_errors": errors,
            },
            DAS_GUPTA,
        ),
        notes=_notes(names, errors, scale=scale),
    )


def _check_factors(
    names: list[str], errors: dict[str, str], *, quantity: str, scale: Scale
) -> None:
    """Refuse a number of factors, or errors of factors, that mean nothing."""
    if not 2 <= len(names) <= MOST_FACTORS or len(set(names)) < len(names):
        raise EstimationError(
            f"das_gupta: `factors` names {len(names)} columns; it takes 2 to {MOST_FACTORS} "
            "different ones."
        )
    unknown = sorted(set(errors) - set(names))
    if unknown:
        raise EstimationError(
            f"das_gupta: `std_errors` names {', '.join(f'`{n}`' for n in unknown)}, not among the "
            "factors."
        )
    if quantity == "standardized_rate" and scale == "ratio":
        raise EstimationError(
            'das_gupta: a standardized rate has the scale of the rate.\n  Use scale="difference".'
        )


def _checked(
    data: pd.DataFrame, *, by: str, within: str | None, names: list[str], errors: dict[str, str]
) -> pd.DataFrame:
    """The frame in order of strata, one row per group and stratum, every factor known."""
    keys = [by] if within is None else [by, within]
    check_columns(data, [*keys, *names, *errors.values()])
    frame = as_groups(data, keys)
    frame = frame[(frame[keys] != ALL).all(axis=1)]
    repeats = int(frame.duplicated(keys).sum())
    if repeats:
        raise TableError(
            f"the frame: {repeats} of {len(frame)} rows repeat "
            f"{', '.join(f'`{k}`' for k in keys)}; das_gupta takes one row each."
        )
    for column in (*names, *errors.values()):
        if not pd.api.types.is_numeric_dtype(frame[column].dtype):
            raise TableError(f"the frame: `{column}` holds {frame[column].dtype}, not numbers.")
        values = frame[column].to_numpy(dtype=float, na_value=np.nan)
        wrong = ~np.isfinite(values) | ((values < 0) if column in errors.values() else False)
        if wrong.any():
            raise TableError(
                f"the frame: `{column}` is missing, infinite or a negative standard error in "
                f"{int(wrong.sum())} of {len(frame)} rows. Leave these groups out."
            )
    if within is not None:
        sizes = frame.groupby(by)[within].nunique()
        n_strata = frame[within].nunique()
        if (sizes < n_strata).any():
            raise TableError(
                f"the frame: {int((sizes < n_strata).sum())} of {len(sizes)} groups lack one of "
                f"the {n_strata} strata of `{within}`. Merge strata, or leave these groups out."
            )
        frame = in_group_order(frame, [within])
    return frame


def _stacked(frame: pd.DataFrame, *, by: str, groups: list[str], columns: list[str]) -> np.ndarray:
    """Columns by group; shape (G, P, m)."""
    return np.stack([frame.loc[frame[by] == g, columns].to_numpy(float).T for g in groups])


def _variances(
    frame: pd.DataFrame, *, by: str, groups: list[str], names: list[str], errors: dict[str, str]
) -> np.ndarray:
    """Variance of each factor; 0 for one without a standard error; shape (G, P, m)."""
    squares = frame.assign(**{n: frame[errors[n]] ** 2 if n in errors else 0.0 for n in names})
    return _stacked(squares, by=by, groups=groups, columns=names)


def _support(frame: pd.DataFrame, *, by: str) -> pd.DataFrame:
    """Support by group where the frame has it: of its smallest stratum; not known otherwise."""
    own = frame.reindex(columns=[by, *SUPPORT_COLUMNS]).groupby(by)[list(SUPPORT_COLUMNS)]
    smallest = {group: smallest_support(rows.to_numpy(dtype=float)) for group, rows in own}
    return pd.DataFrame.from_dict(smallest, orient="index", columns=list(SUPPORT_COLUMNS))


def _weights(n_factors: int, quantity: str) -> np.ndarray:
    """Weights of the mixtures in each row of one gap."""
    if quantity == "effect":
        return effect_weights(n_factors)
    return standardizing_weights(n_factors).reshape(2 * n_factors, -1)


def _rows(names: list[str], quantity: str) -> pd.DataFrame:
    """Keys of the rows of one gap."""
    if quantity == "effect":
        return pd.DataFrame({"component": ["gap", *names]})
    populations = np.repeat(["group", "reference"], len(names))
    return pd.DataFrame({"population": populations, "component": names * 2})


def _notes(names: list[str], errors: dict[str, str], *, scale: Scale) -> list[str]:
    """How to read the parts, and which uncertainty the intervals hold."""
    notes = [READING]
    if scale == "ratio":
        notes.append("The parts of a ratio multiply to it.")
    without = [n for n in names if n not in errors]
    if not errors:
        notes.append("No standard errors of the factors were given, so there are no intervals.")
    elif without:
        notes.append(
            f"Intervals take {', '.join(f'`{n}`' for n in without)} as known without error."
        )
    return notes
