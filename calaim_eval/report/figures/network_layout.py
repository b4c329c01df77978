"""Where organizations stand on a network map: the same place from quarter to quarter."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.release_items import Absent, find_item, need_columns, open_release

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

MOST_DRAWN = 70
_STEPS = 300
_HOLD = 0.15
_FIRST_HOLD = 0.002


def network_positions(released: Released, *, earlier: Sequence[Released] = ()) -> pd.DataFrame:
    r"""Place of each organization of a release's referral network.

    Distances on the map follow steps between organizations (stress majorization), and each
    organization is held near its place in the release before:
    :math:`\sum_{i<j} d_{ij}^{-2} (|x_i - x_j| - d_{ij})^2 + \lambda \sum_i |x_i - p_i|^2`.
    New organizations begin amid their partners. Without an earlier release a place worked out
    from the organization's name holds weakly, so that the map is the same on every computer.

    Parameters
    ----------
    released : Released
        Uses `referral_network_ties` and `referral_network_organizations`.
    earlier : sequence of Released
        Releases of earlier quarters, oldest first; see `earlier_releases`.

    Returns
    -------
    pd.DataFrame
        organization, x, y; the 70 with most partners where there are more. Empty where the
        release has no network.

    References
    ----------
    Baur M, Schank T (2008). Dynamic graph drawing in visone. Technical report 2008-5, Universitaet
    Karlsruhe. doi:10.5445/IR/1000007990
    """
    before = None
    for one in (*earlier, released):
        ties = drawn_ties(one)
        if ties is not None:
            before = _place(ties, before)
    if before is None or drawn_ties(released) is None:
        return pd.DataFrame({"organization": [], "x": [], "y": []})
    return before


def earlier_releases(folder: str | Path) -> tuple[Released, ...]:
    """Releases beside one, of the quarters before it, oldest first.

    Parameters
    ----------
    folder : path
        A release folder such as ``release/2024Q4``.
    """
    here = Path(folder)
    found = sorted(p for p in here.resolve().parent.glob("[0-9]*Q[1-4]") if p.name < here.name)
    return tuple(open_release(p) for p in found if (p / "manifest.json").exists())


def drawn_ties(released: Released) -> pd.DataFrame | None:
    """Ties of the organizations drawn, or None where the release has no network."""
    found = find_item(released, "referral_network_ties")
    if isinstance(found, Absent):
        return None
    need_columns(found, ("from_organization", "to_organization", "members_in_band"))
    ties = found.frame[["from_organization", "to_organization", "members_in_band"]]
    both = pd.concat([ties["from_organization"], ties["to_organization"]])
    most = both.value_counts().rename_axis("name").reset_index()
    most = most.sort_values(["count", "name"], ascending=[False, True])["name"].head(MOST_DRAWN)
    is_drawn = ties["from_organization"].isin(most) & ties["to_organization"].isin(most)
    return ties[is_drawn].reset_index(drop=True)


def _place(ties: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Place the organizations of one release, held near where they were."""
    names = np.array(sorted({*ties["from_organization"], *ties["to_organization"]}), dtype=object)
    place = pd.Index(names)
    ends = [place.get_indexer(ties[c]) for c in ("from_organization", "to_organization")]
    steps = _steps(ends[0], ends[1], len(names))
    held, hold = _held(names, steps, before)
    points = _majorize(steps, held, hold)
    return pd.DataFrame({"organization": names, "x": points[:, 0], "y": points[:, 1]})


def _steps(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Steps between organizations; parts of the network stand a little farther apart than any."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    ties = csr_array((np.ones(len(first)), (first, second)), shape=(n, n))
    steps = np.asarray(shortest_path(ties, directed=False, unweighted=True))
    apart = ~np.isfinite(steps)
    steps[apart] = (steps[~apart].max() if (~apart).any() else 1.0) + 0.5
    return steps


def _held(
    names: np.ndarray, steps: np.ndarray, before: pd.DataFrame | None
) -> tuple[np.ndarray, np.ndarray]:
    """Place each organization is held near, and how strongly; (n, 2) and (n,)."""
    by_name = np.array([_from_name(str(name)) for name in names]) * max(1.0, steps.max() / 2)
    if before is None:
        return by_name, np.full(len(names), _FIRST_HOLD)
    known = before.set_index("organization")[["x", "y"]].reindex(names).to_numpy(dtype=float).copy()
    is_known = np.isfinite(known[:, 0])
    hold = np.where(is_known, _HOLD, 0.0)
    for i in np.flatnonzero(~is_known):
        near = is_known & (steps[i] <= 1)
        known[i] = by_name[i] if not near.any() else known[near].mean(axis=0) + 0.1 * by_name[i]
    return known, hold if is_known.any() else np.full(len(names), _FIRST_HOLD)


def _from_name(name: str) -> tuple[float, float]:
    """Point of the unit circle that depends on the name alone."""
    angle = 2 * np.pi * zlib.crc32(name.encode()) / 2**32
    return float(np.cos(angle)), float(np.sin(angle))


def _majorize(steps: np.ndarray, held: np.ndarray, hold: np.ndarray) -> np.ndarray:
    """Points of least stress by majorization; (n, 2)."""
    n = len(steps)
    if n < 2:
        return held
    off = ~np.eye(n, dtype=bool)
    weight = np.zeros_like(steps)
    weight[off] = steps[off] ** -2.0
    laplacian = np.diag(weight.sum(axis=1)) - weight
    system = laplacian + np.diag(np.maximum(hold, 1e-9) * weight.sum(axis=1).mean())
    inverse = np.linalg.inv(system)
    pull = (np.maximum(hold, 1e-9) * weight.sum(axis=1).mean())[:, None] * held
    points = held.copy()
    for _ in range(_STEPS):
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        ratio = np.divide(weight * steps, gaps, out=np.zeros_like(gaps), where=gaps > 1e-9)
        guttman = np.diag(ratio.sum(axis=1)) - ratio
        points = inverse @ (guttman @ points + pull)
    return points
