"""Matched comparison: each exposed member with members alike who were not yet exposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from calaim_eval.design.age_bands import AGE_BAND
from calaim_eval.design.candidates import Anchor, check_population
from calaim_eval.design.checks import analysis_months, check_option, check_windows
from calaim_eval.design.design import Design
from calaim_eval.design.eligibility import EligibilityRule
from calaim_eval.design.ledger import member_ledger
from calaim_eval.design.match_groups import SameEligibility, check_exact, match_cells
from calaim_eval.design.match_metric import Distance, metric_matrix
from calaim_eval.design.matched_balance import before_matching
from calaim_eval.design.matched_candidates import (
    MatchCandidates,
    UseIn,
    match_candidates,
    match_outcomes,
)
from calaim_eval.design.matched_members import matched_members
from calaim_eval.design.matched_rules import REASONS
from calaim_eval.design.matched_sets import (
    Censoring,
    MatchedSets,
    Replacement,
    match_sets,
    risk_blocks,
)
from calaim_eval.design.matched_words import (
    matched_notes,
    matched_words,
    no_match_message,
    nobody_at_risk_message,
)
from calaim_eval.errors import DesignError
from calaim_eval.panel.grouped import group_notes

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.panel import MemberMonths


def design_matched(
    panel: MemberMonths,
    *,
    rng: np.random.Generator,
    service: str = "ecm",
    anchor: Anchor = "first_service",
    eligibility: EligibilityRule = "listed",
    match_on: Sequence[str] = ("ed_visits", "inpatient_stays"),
    use_in: UseIn = "lookback",
    exact: Sequence[str] = ("race_ethnicity",),
    same_eligibility: SameEligibility = "month",
    distance: Distance = "mahalanobis",
    caliper: float | None = None,
    ratio: int = 1,
    replacement: Replacement = "across_months",
    censor: Censoring = "set",
    lookback_months: int = 6,
    follow_up_months: int = 12,
    anticipation_months: int = 0,
    min_age: int | None = None,
    max_age: int | None = None,
    population_of_focus: str | None = None,
    high_use_visits: int = 5,
    high_use_months: int = 6,
    age_bands: Sequence[int] = (18, 21, 45, 65),
    window: tuple[str, str] | None = None,
) -> Design:
    """Match each exposed member to members alike in use who were eligible and not yet exposed.

    Use where members are picked for the service by what their use was, as a second answer beside
    `design_exposure`; never to make sides with different levels alike by force (see the methods
    page on regression to the mean).

    Parameters
    ----------
    panel : MemberMonths
    rng : np.random.Generator
        Breaks ties between members equally alike. The same seed gives the same matches whatever
        the order of the rows.
    service, anchor, eligibility, population_of_focus, high_use_visits, high_use_months
        As in `design_exposure`.
    match_on : sequence of str
        Measures of the panel before the index month, ``"age_years"`` (in the month of
        eligibility), ``"months_since_eligibility"``.
    use_in : {"lookback", "each_month"}
        Mean of a measure over the look-back, or its value in each month of it.
    exact : sequence of str
        Columns on which a match has the same value, as recorded in the month of eligibility:
        `race_ethnicity`, `county`, `sex`, ..., or ``"age_band"``. Effects can be estimated by
        these.
    same_eligibility : {"month", "quarter", "any"}
        A match became eligible in the same month or quarter, or at any time up to the index month.
    distance : {"mahalanobis", "propensity"}
    caliper : float, optional
        Largest distance of a match: Mahalanobis distance, or standard deviations of the logit of
        the propensity score (0.2 is common). Exposed members without a match are counted.
    ratio : int
        Matches of each exposed member; fewer where there are fewer.
    replacement : {"across_months", "with", "without"}
        A member can be the match of one exposed member in an index month and of others in later
        months; of any number; or of one in all. The last takes members like the earlier exposed
        out of later risk sets, so that those left have had less use, and biases the estimate.
    censor : {"set", "none"}
        A match may be exposed later. ``"set"``: from that month on nobody of the set counts;
        ``"none"``: all do, which gives the effect of being exposed now rather than not now
        (later or never). In both a set ends before the first month in which anybody in it is not
        covered.
    lookback_months : int
        Months before the index month that must all be covered; matching looks at them, less the
        last `anticipation_months`.
    follow_up_months : int
        Months, from the index month on, that the window must hold. Coverage in them is not
        required; where it ends, so does the set.
    anticipation_months : int
        Months before exposure that exposure may already have changed.
    min_age, max_age : int, optional
        Age in completed years in the month of eligibility, both included.
    age_bands : sequence of int
        First ages of the age bands after the lowest.
    window : (str, str), optional
        First and last month analyzed; default the panel.

    Returns
    -------
    Design
        A row of ``members`` is a member's part in one set. `cohort` is the index month, missing
        for matches; ``covariate_cells`` is ``("index_month", "n_matches")``, so that every set
        weighs the same; the cluster is ``"matched_group"``: sets that share a member. Estimate
        with ``group_time_att(reduce_panel(design, ...), ..., cluster="matched_group")``.

    Raises
    ------
    DesignError
        Nobody is exposed, nobody can be matched, a matching variable is constant or collinear, an
        option is unknown.

    Notes
    -----
    *Index month*: the month of exposure of the exposed member, for the whole set. A match was
    eligible by then by the same rule, covered in that month and in every month of the look-back,
    and not exposed up to and including that month. What happens later plays no part in who is
    matched, so no time is immortal [1]_. *Which pairs*: index months in order; in each the closest
    pair of all first, then the closest of those left, a first match for everybody before a second.
    *Errors*: members of a set, and sets that share a member, are one cluster [2]_.

    References
    ----------
    .. [1] Li YP, Propert KJ, Rosenbaum PR (2001). Balanced risk set matching. J Am Stat Assoc
       96(455):870-882. doi:10.1198/016214501753208573
    .. [2] Abadie A, Spiess J (2022). Robust post-matching inference. J Am Stat Assoc
       117(538):983-995. doi:10.1080/01621459.2020.1840383
    """
    for name, value, options in (
        ("anchor", anchor, Anchor),
        ("eligibility", eligibility, EligibilityRule),
        ("use_in", use_in, UseIn),
        ("same_eligibility", same_eligibility, SameEligibility),
        ("distance", distance, Distance),
        ("replacement", replacement, Replacement),
        ("censor", censor, Censoring),
    ):
        check_option(name, value, get_args(options))
    check_exact(exact)
    match_outcomes(match_on)
    _check_numbers(ratio, caliper)
    check_population(population_of_focus, eligibility)
    months = analysis_months(panel, window)
    check_windows(
        months,
        lookback_months=lookback_months,
        follow_up_months=follow_up_months,
        anticipation_months=anticipation_months,
    )

    candidates = match_candidates(
        panel,
        months,
        service=service,
        anchor=anchor,
        eligibility=eligibility,
        high_use=(high_use_visits, high_use_months),
        ages=(min_age, max_age),
        age_bands=age_bands,
        population_of_focus=population_of_focus,
        exact=exact,
        match_on=match_on,
        use_in=use_in,
        windows=(lookback_months, follow_up_months, anticipation_months),
    )
    rules = candidates.rules
    blocks = risk_blocks(rules)
    if not blocks:
        raise DesignError(nobody_at_risk_message(candidates.reasons(), panel.n_members))
    metric = metric_matrix(blocks, candidates.variables, distance=distance)
    sets = match_sets(
        rules,
        match_cells(rules.eligible, candidates.groups[list(exact)], same_eligibility),
        rng.random(len(rules.eligible)),
        metric,
        ratio=ratio,
        caliper=caliper,
        replacement=replacement,
    )
    ledger = _ledger(candidates, sets, n_panel=panel.n_members)
    if not len(sets.exposed):
        raise DesignError(no_match_message(ledger, caliper, same_eligibility))
    members = matched_members(candidates, sets, exact=exact, censor=censor)
    return Design(
        panel=panel,
        members=members,
        months=months,
        comparison="not_yet_exposed",
        covariate_cells=("index_month", "n_matches"),
        cluster="matched_group",
        ledger=ledger,
        notes=(
            *matched_notes(
                members,
                ledger,
                match_on=match_on,
                distance=distance,
                caliper=caliper,
                ratio=ratio,
                replacement=replacement,
                censor=censor,
                n_not_in_panel=candidates.n_not_in_panel,
            ),
            *group_notes(panel, [each for each in exact if each != AGE_BAND]),
        ),
        estimand_words=matched_words(
            service, anchor, eligibility, high_use_visits, high_use_months, censor=censor
        ),
        kind="matched",
        lookback_months=lookback_months,
        follow_up_months=follow_up_months,
        anticipation_months=anticipation_months,
        before_matching=before_matching(
            replace(rules, by_month=False),
            candidates.mean_variables,
            candidates.groups[list(exact)],
        ),
    )


def _check_numbers(ratio: int, caliper: float | None) -> None:
    """Raise DesignError for a ratio or a caliper that allows no match."""
    if isinstance(ratio, bool) or not isinstance(ratio, int | np.integer) or ratio < 1:
        raise DesignError(f"`ratio` is {ratio}; it must be a whole number, 1 or more.")
    if caliper is not None and not (np.isfinite(caliper) and caliper >= 0):
        raise DesignError(f"`caliper` is {caliper}; it must be 0 or more, or None.")


def _ledger(candidates: MatchCandidates, sets: MatchedSets, *, n_panel: int) -> pd.DataFrame:
    """Ledger of every member of the panel, those without any record included."""
    reason = candidates.reasons(sets)
    is_exposed = np.zeros(len(reason), dtype=bool)
    is_exposed[candidates.entered[sets.exposed]] = True
    ledger = member_ledger(reason, is_exposed, REASONS)
    ledger.loc[0, "n_members"] += n_panel - len(reason)
    return ledger
