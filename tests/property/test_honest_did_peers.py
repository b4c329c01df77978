"""Fixed-length intervals against another package on random event studies.

Its relative-magnitudes intervals are known to be too narrow and are no oracle; those are checked
against linear programmes in tests/unit/estimate/sensitivity/test_relative_magnitudes.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from event_study_tables import event_study, random_covariance

from calaim_eval.estimate import honest_did

peer = pytest.importorskip("diff_diff.honest_did")


@pytest.mark.parametrize("seed", range(12))
def test_smoothness_intervals_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    before, after = rng.normal(0, 0.1, p), rng.normal(0.3, 0.2, q)
    covariance = random_covariance(rng, p + q)
    weights = rng.normal(size=q) if seed % 2 else np.full(q, 1 / q)
    bound = float(rng.choice([0.0, 0.01, 0.05, 0.2]))
    # The peer (as the R package) adds bias where weights times months is negative: its interval
    # for minus the effect is then not the mirror image. It is asked about the other sign there.
    sign = np.sign(weights @ np.arange(1, q + 1))
    ends = peer._compute_optimal_flci(before, after, covariance, sign * weights, p, q, bound)
    low, high = sorted(sign * np.array(ends))
    table = honest_did(
        event_study(before, after, covariance),
        bounds=[bound],
        restriction="smoothness",
        effect=dict(enumerate(weights)),
    )
    length = table.conf_high[0] - table.conf_low[0]
    # Both minimize the same length; the other solver stops within 1e-5 of it. Where the length
    # is flat the centre moves with the square root of that.
    assert length == pytest.approx(high - low, rel=1e-5)
    assert length <= (high - low) * (1 + 1e-9)
    assert table.conf_low[0] == pytest.approx(low, abs=5e-3 * length)
