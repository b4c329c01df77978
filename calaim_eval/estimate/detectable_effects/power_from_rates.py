"""What a comparison can detect, from rates and counts alone: before there are any data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.detectable_effects.power import power_rows
from calaim_eval.estimate.detectable_effects.power_table import PowerTable

NEEDED = ("rate", "n_exposed", "n_comparison", "months_before", "months_after")
OPTIONAL = {"dispersion": 1.0, "correlation": 0.0}
OF_CLUSTERS = ("n_exposed_clusters", "n_comparison_clusters", "change_sd")


def power_from_rates(
    rates: pd.DataFrame,
    *,
    unit: str = "events per member-month",
    take_up: float | Sequence[float] = 1.0,
    effect: float | None = None,
    served_mean: float | None = None,
    alpha: float = 0.05,
    target_power: float = 0.8,
) -> PowerTable:
    r"""Smallest effect two groups of members, seen before and after, can detect.

    Use in a protocol, when all that is known is how many members there are and how often the
    outcome happens.

    Parameters
    ----------
    rates : pd.DataFrame
        One row per question; other columns are keys. Needed: ``rate`` (events per member-month of
        the comparison), ``n_exposed``, ``n_comparison`` (members), ``months_before``,
        ``months_after``. Optional: ``dispersion``, variance over mean of a member's monthly count
        (1, Poisson, is optimistic for health care; 2 to 5 is common); ``correlation`` of a
        member's months (0 is the cautious side); all of ``n_exposed_clusters``,
        ``n_comparison_clusters`` and ``change_sd``, the standard deviation between counties of
        the change in the true rate.
    unit : str
    take_up, effect, served_mean, alpha, target_power
        See `power`.

    Returns
    -------
    PowerTable
        As `power`.

    Raises
    ------
    EstimationError
        A column is missing, or a value is not possible.

    Notes
    -----
    :math:`s^2 = \phi\lambda (1-\rho)(1/T_0 + 1/T_1)(1/n_1 + 1/n_0)
    + \tau^2 (1/G_1 + 1/G_0)` with rate :math:`\lambda`, dispersion :math:`\phi`, correlation
    :math:`\rho`, months T, members n, clusters G and standard deviation :math:`\tau` of the
    clusters' changes (then Student's t with :math:`G_1 + G_0 - 2` degrees of freedom). Everybody is
    covered in every month.

    Examples
    --------
    >>> rates = pd.DataFrame({"rate": [0.05], "n_exposed": [20_000], "n_comparison": [20_000],
    ...                       "months_before": [12], "months_after": [6], "dispersion": [2.0]})
    >>> found = power_from_rates(rates, take_up=[1.0, 0.01]).to_frame()
    >>> found[["take_up", "mde_on_served"]].round(4)
       take_up  mde_on_served
    0     1.00         0.0044
    1     0.01         0.4430
    """
    values = _values(rates)
    is_clustered = OF_CLUSTERS[0] in values
    months = 1 / values["months_before"] + 1 / values["months_after"]
    members = 1 / values["n_exposed"] + 1 / values["n_comparison"]
    within = values["dispersion"] * values["rate"] * (1 - values["correlation"])
    variance = within * months * members
    df = np.full(len(rates), np.inf)
    words = "Members are independent of one another, also within a county."
    if is_clustered:
        exposed, comparison = (values[name] for name in OF_CLUSTERS[:2])
        variance = variance + values["change_sd"] ** 2 * (1 / exposed + 1 / comparison)
        df = exposed + comparison - 2
        words = (
            "Counties' rates change differently by `change_sd`; Student's t with counties less "
            "two degrees of freedom."
        )
    known = {*NEEDED, *OPTIONAL, *OF_CLUSTERS}
    return power_rows(
        rates[[c for c in rates.columns if c not in known]],
        std_error=np.sqrt(variance),
        df=df,
        n_members=np.minimum(values["n_exposed"], values["n_comparison"]),
        unit=unit,
        take_up=take_up,
        effect=effect,
        comparison_mean=values["rate"],
        served_mean=served_mean,
        alpha=alpha,
        target_power=target_power,
        assumptions=(
            "From stated rates, not from data: the rates, their dispersion and correlation are as "
            "given, and everybody is covered in every month.",
            words,
        ),
    )


def _values(rates: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns as floats, checked; defaults filled in."""
    missing = [c for c in NEEDED if c not in rates.columns]
    given = [c for c in OF_CLUSTERS if c in rates.columns]
    if given and len(given) < len(OF_CLUSTERS):
        missing += [c for c in OF_CLUSTERS if c not in given]
    if missing or not len(rates):
        raise EstimationError(
            f"power_from_rates: the frame has {len(rates)} rows and lacks "
            f"{', '.join(f'`{c}`' for c in missing) or 'no column'}. It has "
            f"{', '.join(f'`{c}`' for c in rates.columns)}."
        )
    values = {c: rates[c].to_numpy(dtype=float) for c in (*NEEDED, *given)}
    for name, default in OPTIONAL.items():
        own = rates[name] if name in rates.columns else pd.Series(default, rates.index)
        values[name] = own.to_numpy(dtype=float)
    for name, column in values.items():
        may_be_zero = name in ("correlation", "change_sd")
        high = 1.0 if name == "correlation" else np.inf
        is_possible = (column >= 0 if may_be_zero else column > 0) & (column < high)
        if not is_possible.all():
            raise EstimationError(
                f"power_from_rates: `{name}` is missing or not possible in "
                f"{int((~is_possible).sum())} of {len(rates)} rows; it is a number "
                f"{'of 0 or more' if may_be_zero else 'above 0'}"
                f"{' and below 1' if name == 'correlation' else ''}."
            )
    if given and (values[OF_CLUSTERS[0]] + values[OF_CLUSTERS[1]] < 3).any():
        raise EstimationError("power_from_rates: at least three clusters are needed in every row.")
    return values
