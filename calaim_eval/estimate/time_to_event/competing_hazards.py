"""Which factors go with an ending that others compete with: hazard ratios, clustered."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.estimate.covariates import covariate_columns, require_full_rank
from calaim_eval.estimate.time_to_event.subdistribution_fit import (
    FARTHEST,
    HazardFit,
    fit_subdistribution,
    goes_on_for_ever,
)
from calaim_eval.results import EffectTable, Estimand, Method

HazardModel = Literal["subdistribution", "cause_specific"]
FEWEST_EVENTS = 5
"""Events a term must have."""
_UNFINISHED = 1e-6
"""A step that would still add this to the log likelihood: the fit did not arrive."""
_REFERENCE = {
    "subdistribution": "Fine JP, Gray RJ (1999). J Am Stat Assoc 94(446):496-509. "
    "doi:10.1080/01621459.1999.10474144",
    "cause_specific": "Prentice RL et al. (1978). Biometrics 34(4):541-554. doi:10.2307/2530374",
}
_ESTIMATOR = {
    "subdistribution": "Subdistribution hazard regression (Fine and Gray)",
    "cause_specific": "Cause-specific proportional hazards regression (Efron ties)",
}
_CONTRAST = {
    "subdistribution": "ratio of subdistribution hazards: above 1, the ending comes to more by any "
    "time",
    "cause_specific": "ratio of the rates of this ending among those still waiting; it does not "
    "say to how many it comes",
}


def competing_hazards(
    data: pd.DataFrame,
    *,
    duration: str,
    cause: str,
    factors: Sequence[str] = (),
    categorical: Sequence[str] = (),
    cause_of_interest: int = 1,
    model: HazardModel = "subdistribution",
    cluster: str | None = None,
    censoring_by: str | None = None,
) -> EffectTable:
    r"""Hazard ratios of one ending where others compete.

    ``"subdistribution"`` answers to how many the ending comes (the cumulative incidence);
    ``"cause_specific"`` how fast it comes to those still waiting. A factor can raise one and lower
    the other, so report both or say which question is asked. Groups are compared jointly by
    `joint_test` of their terms: with clusters the counterpart of Gray's test.

    Parameters
    ----------
    data : pd.DataFrame
        One row per subject (referral).
    duration : str
        Column: time to the ending or to the end of follow-up, 0 or more.
    cause : str
        Column: 0 censored, else which ending.
    factors, categorical : sequence of str
        Numbers or true/false; categories, the first in order being the reference.
    cause_of_interest : int
    model : {"subdistribution", "cause_specific"}
    cluster : str, optional
        Column of who is alike, such as ``"member_id"``. None: subjects are independent.
    censoring_by : str, optional
        For ``"subdistribution"``: column with groups that are followed for different times, each
        with its own curve of being censored. Name the groups compared where follow-up differs.

    Returns
    -------
    EffectTable
        Key ``term``; ratios (1: no difference), an association. Robust covariance over clusters
        with the factor g/(g-1), and with `cluster` Student's t of g - 1 degrees. Support:
        subjects on the smaller side of a yes/no term, and events there.

    Raises
    ------
    TableError
        A column is absent, or durations are negative or infinite.
    EstimationError
        No factor, fewer than five events a term, a factor that does not vary, one cluster, or no
        finite maximum (a group has none of the endings, or no others).

    Notes
    -----
    :math:`\lambda(t \mid x) = \lambda_0(t) e^{x\beta}` for the hazard in question; proportional
    over time by assumption. Breslow's ties for the subdistribution (as R ``cmprsk``), Efron's for
    the cause-specific hazard.

    References
    ----------
    Fine and Gray (1999). doi:10.1080/01621459.1999.10474144; Gray RJ (1988).
    doi:10.1214/aos/1176350951; Lin DY, Wei LJ (1989). doi:10.1080/01621459.1989.10478874.
    """
    if model not in _ESTIMATOR:
        raise EstimationError(f"`model` is {model!r}, not one of {quoted(list(_ESTIMATOR))}.")
    time, ending, x, terms, clusters, groups, lost = _rows(
        data, duration, cause, factors, categorical, cluster, censoring_by
    )
    ending = np.where(ending == 0, 0, np.where(ending == cause_of_interest, 1, 2))
    _require_events(int((ending == 1).sum()), len(terms))
    require_full_rank(x, terms, where="the table of subjects")
    if model == "subdistribution":
        found = fit_subdistribution(time, ending, x, groups)
    else:
        found = _fit_cause_specific(time, ending, x)
    if found is None:
        raise EstimationError(
            "the hazard regression has no finite maximum: a factor tells exactly who has the "
            "ending, or a group has none. Leave it out, or compare cumulative incidences."
        )
    ratio = np.exp(found.coef)
    sums = pd.DataFrame(found.influence).groupby(clusters).sum()
    n = len(sums)
    if n < 2:
        raise EstimationError(
            f"`{cluster}` has 1 cluster; an error needs several. Take finer ones."
        )
    scaled = sums.to_numpy() * np.sqrt(n / (n - 1)) * ratio
    return EffectTable(
        keys=pd.DataFrame({"term": list(terms)}),
        estimate=ratio,
        covariance=scaled.T @ scaled,
        support=_support(x, ending),
        estimand=Estimand(
            name="Association",
            contrast=f"{_CONTRAST[model]}; an association, not an effect",
            unit="hazard ratio",
            scale="ratio",
            is_causal=False,
        ),
        method=Method(
            _ESTIMATOR[model],
            {"cause": cause_of_interest, "cluster": cluster, "factors": (*factors, *categorical)},
            _REFERENCE[model],
        ),
        notes=lost,
        degrees=None if cluster is None else np.full(len(terms), n - 1.0),
    )


def _rows(
    data: pd.DataFrame,
    duration: str,
    cause: str,
    factors: Sequence[str],
    categorical: Sequence[str],
    cluster: str | None,
    censoring_by: str | None,
) -> tuple[
    np.ndarray, np.ndarray, np.ndarray, tuple[str, ...], np.ndarray, np.ndarray, tuple[str, ...]
]:
    """Time, ending, columns, names, clusters, groups of complete rows, and who is left out."""
    where = "the table of subjects"
    named = [duration, cause, *(c for c in (cluster, censoring_by) if c)]
    absent = [name for name in named if name not in data.columns]
    if absent:
        raise TableError(f"{where} lacks {quoted(absent)}.")
    columns = covariate_columns(data, factors, categorical, where=where)
    if not columns.names:
        raise EstimationError("no factor is named. Name at least one in `factors`.")
    time = pd.to_numeric(data[duration], errors="coerce").to_numpy(dtype=float)
    ending = pd.to_numeric(data[cause], errors="coerce").to_numpy(dtype=float)
    bad = int(((time < 0) | np.isinf(time)).sum())
    if bad:
        raise TableError(f"`{duration}` is negative or infinite in {bad} of {len(data)} rows.")
    clusters = np.arange(len(data)) if cluster is None else pd.factorize(data[cluster])[0]
    groups = np.zeros(len(data), dtype=np.int64)
    if censoring_by is not None:
        groups = pd.factorize(data[censoring_by])[0]
    kept = np.isfinite(time) & np.isfinite(ending) & columns.is_known
    kept &= (clusters >= 0) & (groups >= 0)
    lost = int((~kept).sum())
    words = () if not lost else (f"Rows set aside for a missing value: {lost:,} of {len(data):,}.",)
    columns = columns.among(kept)
    values, names = columns.values, columns.names
    return time[kept], ending[kept], values, names, clusters[kept], groups[kept], words


def _require_events(n_events: int, n_terms: int) -> None:
    """Refuse a model of more terms than its events can carry."""
    needed = FEWEST_EVENTS * n_terms
    if n_events < needed:
        raise EstimationError(
            f"fewer than {needed} endings of this kind for {n_terms} terms ({FEWEST_EVENTS} a term "
            "are needed). Leave factors out, or follow longer."
        )


def _fit_cause_specific(time: np.ndarray, ending: np.ndarray, x: np.ndarray) -> HazardFit | None:
    """Cox regression with other endings as censoring, by statsmodels; Efron's ties."""
    from statsmodels.duration.hazard_regression import PHReg

    size = x.std(axis=0)
    z = (x - x.mean(axis=0)) / size
    model = PHReg(time, z, status=(ending == 1).astype(float), ties="efron")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = model.fit()
    coef = np.asarray(result.params)
    if not np.isfinite(coef).all() or np.abs(coef).max() > FARTHEST:
        return None
    at_start, information = (-np.asarray(model.hessian(b)) for b in (np.zeros(len(coef)), coef))
    if goes_on_for_ever(at_start, information):
        return None
    residual = _efron_residuals(time, ending == 1, z, coef)
    inverse, score = np.linalg.inv(information), residual.sum(axis=0)
    if float(score @ inverse @ score) > _UNFINISHED:
        return None
    return HazardFit(coef / size, residual @ inverse / size)


def _efron_residuals(
    time: np.ndarray, is_event: np.ndarray, x: np.ndarray, coef: np.ndarray
) -> np.ndarray:
    """What each subject adds to the score with Efron's ties; they add up to 0; shape (n, p).

    Of d events on one day the k-th finds the d weighed at (d - k + 1)/d among those at risk.
    """
    grid, place = np.unique(time, return_inverse=True)
    weight = np.exp(x @ coef)
    both = np.column_stack([weight, weight[:, None] * x])
    here, tied = np.zeros((2, len(grid), both.shape[1]))
    np.add.at(here, place, both)
    np.add.at(tied, place[is_event], both[is_event])
    at_risk = here[::-1].cumsum(axis=0)[::-1]
    n_events = np.bincount(place[is_event], minlength=len(grid))
    at = np.repeat(np.arange(len(grid)), n_events)
    first = np.cumsum(n_events) - n_events
    done = ((np.arange(len(at)) - first[at]) / n_events[at])[:, None]
    sums = at_risk[at] - done * tied[at]
    mean = sums[:, 1:] / sums[:, :1]
    hazard = np.column_stack([np.ones(len(at)), mean]) / sums[:, :1]
    each, of_tied, average = np.zeros((3, *here.shape))
    np.add.at(each, at, hazard)
    np.add.at(of_tied, at, done * hazard)
    np.add.at(average[:, 1:], at, mean / n_events[at][:, None])
    own = each.cumsum(axis=0)[place] - np.where(is_event[:, None], of_tied[place], 0.0)
    jumps = np.where(is_event[:, None], x - average[place, 1:], 0.0)
    return np.asarray(jumps - weight[:, None] * (own[:, :1] * x - own[:, 1:]))


def _support(x: np.ndarray, ending: np.ndarray) -> pd.DataFrame:
    """Subjects and events on the smaller side of a yes/no term; all of them for a number."""
    counts = []
    for column in x.T:
        sides = np.unique(column)
        parts = [column == s for s in sides] if len(sides) == 2 else [np.ones(len(x), dtype=bool)]
        events = [float((part & (ending == 1)).sum()) for part in parts]
        counts.append((min(float(p.sum()) for p in parts), min(events)))
    return pd.DataFrame(counts, columns=["n_members", "n_events"]).assign(member_months=0.0)
