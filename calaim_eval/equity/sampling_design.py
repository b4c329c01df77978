"""How members were sampled: clusters within strata, and the covariance that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate.regressions.regression_error import cluster_sums


@dataclass(frozen=True, slots=True, eq=False)
class SamplingDesign:
    """Clusters of members and the strata they were drawn in.

    Attributes
    ----------
    cluster : np.ndarray
        Number of each member's cluster; shape (n,).
    stratum : np.ndarray
        Number of each cluster's stratum; shape (G,).
    """

    cluster: np.ndarray
    stratum: np.ndarray

    @property
    def degrees(self) -> int:
        """Clusters less strata, the degrees of freedom of Student's t."""
        return len(self.stratum) - int(self.stratum.max()) - 1

    @property
    def n_single(self) -> int:
        """Strata with one cluster."""
        return int((np.bincount(self.stratum) == 1).sum())

    def covariance(self, influence: np.ndarray) -> np.ndarray:
        r"""Covariance of estimates from what each member adds to them; shape (q, q).

        :math:`\sum_h \frac{n_h}{n_h - 1} \sum_{c \in h} (z_c - \bar z_h)(z_c - \bar z_h)'` with
        :math:`z_c` a cluster's sum. A stratum of one cluster is measured from the mean of all,
        which is 0.
        """
        if not influence.shape[1]:
            return np.zeros((0, 0))
        totals = cluster_sums(influence, self.cluster)
        n = np.bincount(self.stratum).astype(float)
        means = cluster_sums(totals, self.stratum) / n[:, None]
        single = n == 1
        means[single] = 0.0
        factor = np.sqrt(n / np.where(single, n, n - 1))
        away = (totals - means[self.stratum]) * factor[self.stratum, None]
        return np.asarray(away.T @ away)


def sampling_design(
    frame: pd.DataFrame, cluster: str | None, sampling_stratum: str | None
) -> SamplingDesign:
    """The design of a frame; without `cluster` each row is one, without a stratum all are one."""
    if frame.empty:
        raise EstimationError("the frame has no rows, so there is nobody to compare.")
    for name in (cluster, sampling_stratum):
        missing = 0 if name is None else int(frame[name].isna().sum())
        if missing:
            raise TableError(
                f"`{name}` is missing in {part_words(missing, len(frame), 'rows')}.\n"
                "  Every row needs its place in the sampling design, used or not."
            )
    codes = np.arange(len(frame)) if cluster is None else pd.factorize(frame[cluster])[0]
    of_row = (
        np.zeros(len(frame), dtype=int)
        if sampling_stratum is None
        else pd.factorize(frame[sampling_stratum])[0]
    )
    pairs = pd.DataFrame({"cluster": codes, "stratum": of_row}).drop_duplicates()
    crossing = int((np.bincount(pairs["cluster"]) > 1).sum())
    if crossing:
        raise TableError(
            f"{crossing:,} clusters of `{cluster}` lie in more than one stratum of "
            f"`{sampling_stratum}`.\n  Name clusters so that each is in one stratum, such as "
            "stratum and cluster together."
        )
    design = SamplingDesign(codes, pairs.sort_values("cluster")["stratum"].to_numpy())
    if design.degrees < 1:
        raise EstimationError(
            f"{len(design.stratum):,} clusters in {int(design.stratum.max()) + 1:,} strata leave "
            "no degree of freedom for an error.\n  Merge strata, or name smaller clusters."
        )
    return design
