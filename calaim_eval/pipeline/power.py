"""What a study could detect, said before anything is estimated."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import power_before_exposure
from calaim_eval.moments import load_moments
from calaim_eval.panel import MEASURES
from calaim_eval.pipeline.designs import MAIN_ANCHOR
from calaim_eval.study import Study

log = logging.getLogger(__name__)

MONTHS = 6
"""Months of follow-up that are played through before exposure."""


def say_power(study: Study, paths: Mapping[str, tuple[Path, ...]]) -> list[str]:
    """The smallest effect of each outcome that the main design could detect; also logged.

    From months before the first exposure only: no outcome after it is looked at, so the lines can
    go into a protocol. An outcome that cannot be judged is left out with its reason in the log.
    """
    if study.file.exposure is None:
        return []
    lines = []
    for path in paths.get(MAIN_ANCHOR, ()):
        moments = load_moments(path).pooled()
        for outcome in moments.outcomes:
            measure = MEASURES[outcome]
            try:
                table = power_before_exposure(
                    moments,
                    outcome=outcome,
                    follow_up_months=min(MONTHS, study.file.exposure.follow_up_months),
                    anticipation_months=study.file.exposure.anticipation_months,
                    per=measure.per,
                    unit=measure.unit,
                )
            except (DesignError, EstimationError) as error:
                log.info("what could be detected in `%s` is not known: %s", outcome, error)
                continue
            row = table.to_frame().iloc[0]
            share = share_words(row.get("mde_share", nan))
            lines.append(f"{outcome}: {row['mde']:,.1f} {measure.unit}, {share}")
    if lines:
        log.info(
            "smallest effects that could be detected (power 80 %%, from months before exposure):"
            "\n  %s",
            "\n  ".join(lines),
        )
    return lines


def share_words(share: float) -> str:
    """The smallest effect beside the rate of the comparison; NaN where that is 0 or unknown.

    Examples
    --------
    >>> share_words(0.12), share_words(float("nan"))
    ("12% of the comparison's rate", 'the comparison had none before exposure')
    """
    if isnan(share):
        return "the comparison had none before exposure"
    if share >= 1:
        return "more than the comparison has: no fall of any size could be detected"
    return f"{share:.0%} of the comparison's rate"
