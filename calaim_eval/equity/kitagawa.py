"""A gap in rates in two parts: who is in the groups, and their rates among likes (Kitagawa)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.decomposition_table import ordered_groups, pair_support, parts_table
from calaim_eval.equity.groups import key_list
from calaim_eval.equity.mixed_rates import (
    effect_weights,
    mixtures,
    product_cells,
    product_rates,
)
from calaim_eval.equity.rate_cells import Kind, RateCells, cells_of_frame, cells_of_rates
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, EffectTable, Estimand, Method, RateTable, Scale

Components = Literal["two", "three"]
KITAGAWA = (
    "Kitagawa EM (1955). Components of a difference between two rates. J Am Stat Assoc "
    "50(272):1168-1194. doi:10.1080/01621459.1955.10501299"
)
READING = (
    "`composition` goes with the groups being spread differently over the strata, `rates` with "
    "different rates within strata. Neither is a cause: the spread may itself be unjust, and rates "
    "within strata hold everything the strata do not."
)


def kitagawa(
    data: pd.DataFrame | RateTable,
    *,
    within: str | Sequence[str],
    reference: str,
    by: str = "race_ethnicity",
    kind: Kind | None = None,
    numerator: str = "events",
    denominator: str = "member_months",
    member_id: str | None = None,
    cluster: str | None = None,
    components: Components = "two",
    by_stratum: bool = False,
    scale: Scale = "difference",
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Split a gap in rates into composition and rates.

    Use to ask how much of a gap goes with one group being older, sicker or in other counties, and
    how much is there among members of the same age, risk or county.

    Parameters
    ----------
    data : pd.DataFrame or RateTable
        Counts or rows of members (`by`, `within`, `numerator`, `denominator`; rows of one group
        and stratum are added up), or rates by group and stratum from `rate_by_group` or
        `proportion_by_group` ("all" rows are left out).
    within : str or sequence of str
        Strata the groups are compared within, such as `age_band`; every group needs somebody in
        each. A missing value is the stratum "unknown".
    reference : str
        Group the others are compared with, by name.
    by : str
        Column with the groups.
    kind : {"rate", "proportion"}
        Events over time, or members over members; required with a frame.
    numerator, denominator : str
        Columns of a frame.
    member_id, cluster : str, optional
        Columns of a frame whose rows are of members: intervals are then clustered by member, or by
        `cluster` (county). Without them rows are counts.
    components : {"two", "three"}
        Two parts, each averaged over both groups' other part; or composition at the reference's
        rates, rates at the reference's composition, and an interaction.
    by_stratum : bool
        Also the parts of each stratum. Only the rates part of a stratum has a meaning of its own:
        the composition part of one stratum depends on where the rate's zero is.
    scale : {"difference", "ratio"}
        Group minus reference (parts add up to the gap), or group over reference (parts multiply to
        it).
    per : float
        What a difference refers to, such as 1,000 member-months; a RateTable has its own.
    unit : str, optional
        Unit in words; default from the columns.

    Returns
    -------
    EffectTable
        Descriptive. Keys `by`, `reference`, (`within`,) `component`: "gap", "composition",
        "rates", ("interaction"). Positive (above 1): higher in the group.

    Raises
    ------
    EstimationError
        The reference is absent, a group has nobody in a stratum, or a ratio is not defined.
    TableError
        A column is missing or holds no counts.

    Notes
    -----
    With shares :math:`w_{gs}` and rates :math:`\rho_{gs}` of stratum :math:`s` [1]_

    .. math:: \sum_s (w_{gs} - w_{rs}) \tfrac{\rho_{gs} + \rho_{rs}}{2}
              + \sum_s \tfrac{w_{gs} + w_{rs}}{2} (\rho_{gs} - \rho_{rs}).

    The ratio is split the same way on the log scale. Variances by the delta method: of members'
    (or clusters') sums with their composition sampled; of a proportion's counts likewise,
    multinomial; of events over time without `member_id` with member-months as given and events
    independent (or, from a RateTable, with the variance behind its interval, strata independent).

    References
    ----------
    .. [1] Kitagawa EM (1955). Components of a difference between two rates. J Am Stat Assoc
       50(272):1168-1194. doi:10.1080/01621459.1955.10501299

    Examples
    --------
    >>> counts = pd.DataFrame({"group": ["a", "a", "b", "b"], "age": ["old", "young"] * 2,
    ...                        "events": [30, 10, 10, 20], "months": [100, 100, 50, 150]})
    >>> parts = kitagawa(counts, by="group", within="age", reference="b", kind="rate",
    ...                  denominator="months", per=100)
    >>> parts.to_frame()[["component", "estimate"]].round(2).values.tolist()
    [['gap', 5.0], ['composition', 3.33], ['rates', 1.67]]
    """
    check_option("components", components, ("two", "three"))
    check_option("scale", scale, ("difference", "ratio"))
    if by_stratum and scale == "ratio":
        raise EstimationError(
            'kitagawa: a ratio of rates does not split over strata.\n  Use scale="difference" '
            "with by_stratum=True."
        )
    strata = key_list(within)
    cells, per, unit, measure = _cells(
        data,
        by=by,
        within=strata,
        kind=kind,
        columns=(numerator, denominator),
        ids=(member_id, cluster),
        per=per,
        unit=unit,
    )
    names = pd.Series(cells.groups, name=by)
    groups, others = ordered_groups(names, reference=reference)
    weights = effect_weights(2) if components == "two" else _three_weights()
    parts = ["gap", "composition", "rates", "interaction"][: len(weights)]
    effects, slopes, pairs = [], [], []
    for group in others:
        pair = (groups.index(group), groups.index(reference))
        value, slope = _pair(cells, pair, weights, scale=scale)
        if by_stratum:
            own_value, own_slope = _pair_by_stratum(cells, pair, weights)
            value = np.concatenate([value, own_value])
            slope = np.concatenate([slope, own_slope], axis=1)
        effects.append(value)
        slopes.append(slope)
        pairs += [pair] * len(value)
    slope = np.concatenate(slopes, axis=1)
    covariance, influence = cells.covariance(slope[0], slope[1], np.array(pairs))
    support = cells.smallest if by_stratum else cells.support
    return parts_table(
        np.concatenate(effects),
        covariance,
        influence,
        by=by,
        others=others,
        reference=reference,
        rows=_rows(cells.strata, parts, by_stratum=by_stratum),
        support=pair_support(support, others, reference=reference),
        scale=scale,
        per=per,
        estimand=Estimand(
            f"{measure}: parts of the gap",
            f"rate in the group {'minus' if scale == 'difference' else 'over'} rate in "
            f"'{reference}', in parts by {', '.join(strata)}",
            unit if scale == "difference" else "rate ratio",
            scale=scale,
            is_causal=False,
        ),
        method=Method(
            "Kitagawa decomposition",
            {
                "within": tuple(strata),
                "reference": reference,
                "components": components,
                "scale": scale,
                "cluster": cluster or member_id,
                **rates_option(data, numerator),
            },
            KITAGAWA,
        ),
        notes=_notes(cells, data, scale=scale),
        degrees=cells.degrees(np.array(pairs)),
    )


def _cells(
    data: pd.DataFrame | RateTable,
    *,
    by: str,
    within: list[str],
    kind: Kind | None,
    columns: tuple[str, str],
    ids: tuple[str | None, str | None],
    per: float,
    unit: str | None,
) -> tuple[RateCells, float, str, str]:
    """Cells with what a difference refers to, its unit, and the name of the measure."""
    if isinstance(data, RateTable):
        cells = cells_of_rates(data, by=by, within=within)
        return cells, float(np.max(data.per)), unit or data.unit, data.measure
    if kind is None:
        raise EstimationError(
            'kitagawa: say what the frame holds: kind="rate" (events over time, any number) or '
            'kind="proportion" (members over members).'
        )
    check_option("kind", kind, ("rate", "proportion"))
    cells = cells_of_frame(
        data,
        by=by,
        within=within,
        kind=kind,
        numerator=columns[0],
        denominator=columns[1],
        member_id=ids[0],
        cluster=ids[1],
    )
    words = f"`{columns[0]}` per {'' if per == 1 else f'{per:,.0f} '}`{columns[1]}`"
    return cells, per, unit or words, f"{columns[0]} over {columns[1]}"


def _pair(
    cells: RateCells, pair: tuple[int, int], weights: np.ndarray, *, scale: Scale
) -> tuple[np.ndarray, np.ndarray]:
    """Parts of one gap and their gradient in the counts; shapes (q,) and (2, q, G, m)."""
    rates = product_rates(*(_factors(cells, g) for g in pair))
    if scale == "ratio":
        rates = rates.log()
    slope = np.tensordot(weights, rates.gradient, axes=1)
    return weights @ rates.value, _in_counts(cells, pair, slope)


def _pair_by_stratum(
    cells: RateCells, pair: tuple[int, int], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Parts of one gap in each stratum, strata outermost, and their gradient in the counts."""
    value, slope = product_cells(*(_factors(cells, g) for g in pair))
    m = value.shape[1]
    # Only a stratum's own factors enter its parts.
    alone = np.eye(m)[:, None, None, None, :] * np.tensordot(weights, slope, axes=1)
    flat = alone.reshape(m * len(weights), *slope.shape[1:])
    return (weights @ value).T.ravel(), _in_counts(cells, pair, flat)


def _factors(cells: RateCells, group: int) -> np.ndarray:
    """Shares of the strata and rates within them; shape (2, m)."""
    y, n = cells.numerator[group], cells.denominator[group]
    return np.stack([n / n.sum(), y / n])


def _in_counts(cells: RateCells, pair: tuple[int, int], slope: np.ndarray) -> np.ndarray:
    """Gradient in numerators and denominators from that in shares and rates.

    `slope` has shape (q, 2, 2, m): side, factor, stratum; the result (2, q, G, m).
    """
    result = np.zeros((2, len(slope), *cells.numerator.shape))
    for side, group in enumerate(pair):
        n = cells.denominator[group]
        share, rate = _factors(cells, group)
        in_share, in_rate = slope[:, side, 0], slope[:, side, 1]
        result[0, :, group] = in_rate / n
        centred = in_share - (in_share @ share)[:, None]
        result[1, :, group] = centred / n.sum() - in_rate * rate / n
    return result


def _three_weights() -> np.ndarray:
    """Weights of gap, composition, rates (each from the reference) and interaction; (4, 4)."""
    own = mixtures(2)
    at = {tuple(bool(x) for x in row): q for q, row in enumerate(own)}
    none, share, rate, both = (
        np.eye(4)[at[key]] for key in ((False, False), (True, False), (False, True), (True, True))
    )
    return np.stack([both - none, share - none, rate - none, both - share - rate + none])


def _rows(strata: pd.DataFrame, parts: list[str], *, by_stratum: bool) -> pd.DataFrame:
    """Keys of the parts of one gap: the whole first, then each stratum."""
    whole = pd.DataFrame({"component": parts})
    if not by_stratum:
        return whole
    blocks = [whole.assign(**dict.fromkeys(strata.columns, ALL))]
    blocks += [whole.assign(**row) for row in strata.to_dict("records")]
    return pd.concat(blocks, ignore_index=True)[[*strata.columns, "component"]]


def _notes(cells: RateCells, data: pd.DataFrame | RateTable, *, scale: Scale) -> list[str]:
    """How to read the parts, and what the intervals leave out."""
    notes = list(data.notes) if isinstance(data, RateTable) else []
    notes.append(READING)
    if scale == "ratio":
        notes.append("The parts of a ratio multiply to it.")
    if cells.rows is None and cells.kind == "rate":
        notes.append(
            "Intervals take the member-months of each stratum as given and strata as independent; "
            "with rows of members (`member_id`) neither is assumed."
        )
    empty = int((cells.numerator == 0).sum())
    if empty:
        notes.append(
            f"{empty} of {cells.numerator.size} cells have no event and add nothing to the "
            "variance of rates: intervals are too narrow where many are empty."
        )
    return notes
