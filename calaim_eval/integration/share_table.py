"""A table of shares, each with its Wilson interval: how it is put together, once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from calaim_eval.results import Method, RateTable
from calaim_eval.results.intervals import wilson_interval
from calaim_eval.results.rate_table import RateAbout

WILSON = "Wilson EB (1927). J Am Stat Assoc 22(158):209-212. doi:10.1080/01621459.1927.10502953"


def by_wilson(options: Mapping[str, object]) -> Method:
    """Method of shares whose rows are independent."""
    return Method("Share with Wilson 95 % interval", dict(options), WILSON)


def share_table(
    measure: str,
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    names: tuple[str, str],
    unit: str,
    method: Method,
    about: RateAbout = "members",
    margins: tuple[str, ...] = (),
    denominator_keys: tuple[str, ...] | None = None,
    overlaps: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> RateTable:
    """Shares with Wilson intervals; of members the numerator says how many are behind a row."""
    low, high = wilson_interval(numerator, denominator)
    return RateTable(
        measure=measure,
        keys=keys,
        numerator=numerator,
        denominator=denominator,
        conf_low=low,
        conf_high=high,
        n_members=numerator if about == "members" else np.full(len(keys), np.nan),
        numerator_name=names[0],
        denominator_name=names[1],
        unit=unit,
        kind="proportion",
        method=method,
        about=about,
        margins=margins,
        denominator_keys=denominator_keys,
        overlaps=overlaps,
        notes=notes,
    )
