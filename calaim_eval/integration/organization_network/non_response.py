"""What the organizations that did not answer could change: bounds of density and centralization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.organization_network.centralization import (
    LEAST_RESPONSE,
    largest_degree_sum,
)
from calaim_eval.integration.organization_network.organization_network import (
    OrganizationNetwork,
    TieRule,
)

_SECONDS = 10.0
_WHOLE = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class NetworkBounds:
    """Smallest and largest value that the unseen ties allow.

    Attributes
    ----------
    measure : np.ndarray
        ``"density"``, ``"degree_centralization"`` or in- and out-degree; (k,).
    rule : np.ndarray
        ``"reported"`` (directions kept), ``"either"`` (one end names the tie), ``"both"``
        (both ends confirm it); (k,).
    reported : np.ndarray
        Value with every unseen tie taken as absent; NaN for centralization where fewer than 70 %
        answered; (k,).
    low, high : np.ndarray
        Bounds over all unseen ties; (k,).
    n_unknown : np.ndarray
        Ties that are not known; (k,).
    response_rate : float
    n_organizations, n_answered : int
    """

    measure: np.ndarray
    rule: np.ndarray
    reported: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_unknown: np.ndarray
    response_rate: float
    n_organizations: int
    n_answered: int

    def to_frame(self) -> pd.DataFrame:
        """One row a measure and rule."""
        return pd.DataFrame(
            {
                "measure": self.measure,
                "rule": self.rule,
                "reported": self.reported,
                "low": self.low,
                "high": self.high,
                "n_unknown": self.n_unknown,
                "response_rate": self.response_rate,
                "n_organizations": self.n_organizations,
                "n_answered": self.n_answered,
            }
        )

    def __repr__(self) -> str:
        return (
            f"<NetworkBounds {self.n_answered} of {self.n_organizations} organizations answered; "
            f"{len(self.measure)} rows>"
        )


def network_bounds(network: OrganizationNetwork) -> NetworkBounds:
    r"""Bounds of density and degree centralization when some organizations did not answer.

    What an organization would have reported is unknown where it did not answer. With directions
    every tie out of it is; a tie that needs one report (``"either"``) is known where it was named
    or both ends answered; one that needs two (``"both"``) where both answered or one that did
    denies it. Bounds run over all unseen ties. The largest centralization gives every unseen tie
    to one organization; the smallest is found exactly, by closed form with directions and by an
    integer programme without (its relaxation, which is at least as wide, where more than 2,000
    ties are unseen or time runs out).

    Parameters
    ----------
    network : OrganizationNetwork
        From `survey_network`, before ``undirected()``.

    Returns
    -------
    NetworkBounds

    Raises
    ------
    EstimationError
        The ties have no direction, or there are fewer than three organizations.

    References
    ----------
    Huisman M (2009). Imputation of missing network data: some simple procedures. J Soc Struct
    10(1):1-29. doi:10.21307/joss-2019-046
    """
    if not network.is_directed:
        raise EstimationError(
            "network_bounds: the ties have no direction, so who reported them is lost.\n"
            "  Use the network before undirected()."
        )
    if network.n < 3:
        raise EstimationError(
            f"network_bounds: {network.n} organizations; three at least are needed.\n"
            "  Name everybody who was asked in `organizations`."
        )
    answered = np.ones(network.n, dtype=bool)
    if network.has_answered is not None:
        answered = network.has_answered
    named = network.ties.toarray() > 0
    rows = [
        *_directed_rows(named, answered),
        *_undirected_rows(named, answered, "either"),
        *_undirected_rows(named, answered, "both"),
    ]
    columns = list(zip(*rows, strict=True))
    reported = np.array(columns[2], dtype=float)
    is_refused = np.array(["centralization" in name for name in columns[0]])
    if network.response_rate < LEAST_RESPONSE:
        reported[is_refused] = np.nan
    return NetworkBounds(
        np.array(columns[0], dtype=object),
        np.array(columns[1], dtype=object),
        reported,
        np.array(columns[3], dtype=float),
        np.array(columns[4], dtype=float),
        np.array(columns[5], dtype=float),
        network.response_rate,
        network.n,
        int(answered.sum()),
    )


Row = tuple[str, str, float, float, float, float]


def _directed_rows(named: np.ndarray, answered: np.ndarray) -> list[Row]:
    """Density, in- and out-degree centralization with directions kept."""
    n = len(named)
    is_unknown = ~named & ~answered[:, None] & ~np.eye(n, dtype=bool)
    largest = largest_degree_sum(n, is_directed=True)
    rows = [_density_row("reported", named.sum(), is_unknown.sum(), n * (n - 1))]
    for name, axis in (("in_degree_centralization", 0), ("out_degree_centralization", 1)):
        known, unknown = named.sum(axis=axis), is_unknown.sum(axis=axis)
        seen = n * known.max() - known.sum()
        low = n * known.max() - np.minimum(known.max(), known + unknown).sum()
        high = (n * (known + unknown) - unknown).max() - known.sum()
        rows.append(
            (name, "reported", seen / largest, low / largest, high / largest, unknown.sum())
        )
    return rows


def _undirected_rows(named: np.ndarray, answered: np.ndarray, rule: TieRule) -> list[Row]:
    """Density and degree centralization without directions."""
    n = len(named)
    is_silent = ~answered
    one_silent, both_silent = is_silent[:, None] ^ is_silent, is_silent[:, None] & is_silent
    says = named & answered[:, None]
    if rule == "either":
        known = named | named.T
        is_unknown = ~known & (one_silent | both_silent)
    else:
        known = named & named.T
        is_unknown = ~known & ((one_silent & (says | says.T)) | both_silent)
    np.fill_diagonal(is_unknown, val=False)
    degree, unknown = known.sum(axis=1), is_unknown.sum(axis=1)
    largest = largest_degree_sum(n, is_directed=False)
    seen = n * degree.max() - degree.sum()
    high = (n * (degree + unknown) - 2 * unknown).max() - degree.sum()
    low = _smallest_sum(degree, is_unknown)
    n_unknown = float(is_unknown.sum()) / 2
    return [
        _density_row(rule, known.sum() / 2, n_unknown, n * (n - 1) / 2),
        ("degree_centralization", rule, seen / largest, low / largest, high / largest, n_unknown),
    ]


def _density_row(rule: str, known: float, unknown: float, possible: float) -> Row:
    """Density with no and with every unseen tie."""
    return (
        "density",
        rule,
        known / possible,
        known / possible,
        (known + unknown) / possible,
        unknown,
    )


def _smallest_sum(degree: np.ndarray, is_unknown: np.ndarray) -> float:
    """Smallest sum of differences to the largest degree, over unseen ties without direction.

    Ties are added where no degree passes the largest D; the sum is n D - 2 (known + added).
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, hstack

    n = len(degree)
    first, second = np.nonzero(np.triu(is_unknown))
    if not len(first):
        return float(n * degree.max() - degree.sum())
    column = np.arange(len(first))
    ends = coo_array(
        (np.ones(2 * len(first)), (np.concatenate([first, second]), np.tile(column, 2))),
        shape=(n, len(first)),
    )
    limits = hstack([ends, coo_array(-np.ones((n, 1)))]).tocsr()
    costs = np.append(np.full(len(first), -2.0), float(n))
    solved = milp(
        costs,
        constraints=LinearConstraint(limits, ub=-degree.astype(float)),
        integrality=np.full(len(costs), float(len(first) <= _WHOLE)),
        bounds=Bounds(0, np.append(np.ones(len(first)), np.inf)),
        options={"time_limit": _SECONDS},
    )
    bound = _lower_bound(solved, -2.0 * len(first))
    return float(max(0.0, np.ceil(bound - 1e-6) - degree.sum()))


def _lower_bound(solved: object, otherwise: float) -> float:
    """Proven lower bound of a programme: its optimum, or the bound where time ran out."""
    bound = getattr(solved, "mip_dual_bound", None)
    if bound is None and getattr(solved, "success", False):
        bound = solved.fun  # type: ignore[attr-defined]
    return otherwise if bound is None else float(bound)
