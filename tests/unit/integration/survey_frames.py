"""Simulated partner surveys with a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

ROLES = np.array(["frontline", "manager", "executive"])


def survey(
    rng: np.random.Generator,
    *,
    n_organizations: int,
    per_organization: int,
    n_items: int = 4,
    between: float = 0.5,
    within: float = 0.5,
    error: float = 0.7,
    role_shift: float = 0.0,
) -> pd.DataFrame:
    """Long answers without rounding: organization + person + item error around 3."""
    n = n_organizations * per_organization
    organization = np.repeat(np.arange(n_organizations), per_organization)
    role = rng.integers(0, 3, n)
    score = (
        3
        + rng.normal(0, np.sqrt(between), n_organizations)[organization]
        + rng.normal(0, np.sqrt(within), n)
        + role_shift * (role == 0)
    )
    answer = score[:, None] + rng.normal(0, error, (n, n_items))
    return pd.DataFrame(
        {
            "respondent_id": np.repeat([f"s{i}" for i in range(n)], n_items),
            "organization_id": np.repeat([f"o{i}" for i in organization], n_items),
            "respondent_role": np.repeat(ROLES[role], n_items),
            "item": np.tile([f"q{i}" for i in range(n_items)], n),
            "response": answer.ravel(),
        }
    )


def codebook(n_items: int = 4, *, scale: str = "use") -> pd.DataFrame:
    """Items of one scale, wide enough for any simulated answer."""
    return pd.DataFrame(
        {
            "item": [f"q{i}" for i in range(n_items)],
            "scale": scale,
            "lowest_response": -20.0,
            "highest_response": 26.0,
        }
    )
