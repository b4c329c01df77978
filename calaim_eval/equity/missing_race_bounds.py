"""What a rate by group can be when some members have no recorded group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.ledger import count_words
from calaim_eval.equity.assignment_bounds import MemberPatterns, extreme_rate
from calaim_eval.equity.assignment_limits import (
    RateEnds,
    gap_limits,
    level_limits,
    restricted_ends,
)
from calaim_eval.equity.groups import in_group_order
from calaim_eval.equity.missing_race_members import (
    missing_groups,
    patterns_of_months,
    patterns_of_rates,
)
from calaim_eval.errors import EstimationError
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.results import BoundsTable, Estimand, Method, RateTable, Scale
from calaim_eval.results.estimand import RATES_OF
from calaim_eval.results.share_words import share_words
from calaim_eval.results.smallest_support import fewest_events

Restriction = Literal["worst_case", "missing_no_lower", "missing_no_higher"]
REPORTED_ONLY = "reported_only"

MANSKI = (
    "Horowitz JL, Manski CF (1998). J Econometrics 84(1):37-58. "
    "doi:10.1016/S0304-4076(97)00077-8; Imbens GW, Manski CF (2004). Econometrica "
    "72(6):1845-1857. doi:10.1111/j.1468-0262.2004.00555.x"
)
BOUND_WORDS = "largest share of the members without a recorded group who may belong to the group"


def missing_race_bounds(
    source: RateTable | pd.DataFrame | MemberMonths,
    *,
    missing: Sequence[str] | str,
    stratum: str = "race_ethnicity",
    reference: str | None = None,
    scale: Scale = "difference",
    outcome: str | None = None,
    months: tuple[str, str] | None = None,
    per: float | None = None,
    unit: str | None = None,
    restrictions: Sequence[Restriction] = ("worst_case",),
    largest_shares: Sequence[float | Mapping[str, float]] = (1.0,),
    conf_level: float = 0.95,
) -> BoundsTable:
    r"""Bounds on rates by group, or on gaps between groups, when some members have no group.

    Nothing is assumed about who the members without a group are: each of them is put where the
    rate becomes highest, then where it becomes lowest. The answer of the recorded members alone
    stands beside, as the row ``"reported_only"``.

    Parameters
    ----------
    source : RateTable, pd.DataFrame or MemberMonths
        A table of proportions with the one key `stratum`, or member-months as in `rate_by_group`,
        with `outcome`.
    missing : str or sequence of str
        Groups that stand for "no group recorded", such as ``("unknown", "declined")``.
    stratum : str
        Key or column with the groups.
    reference : str, optional
        With it: gaps to this group. Without: the rates themselves.
    scale : {"difference", "ratio"}
        Of the gaps: group minus reference, or group over reference. Report both.
    outcome, months, per, unit
        As in `rate_by_group`; for member-months only.
    restrictions : sequence of {"worst_case", "missing_no_lower", "missing_no_higher"}
        ``"missing_no_lower"``: in each group compared, the members without a record have a rate no
        lower than the recorded; ``"missing_no_higher"``: no higher.
    largest_shares : sequence of float or mapping
        At most this share of the members without a group belongs to any one group, or to each
        group of a mapping; 1 is the worst case. What is known of the make-up of those members
        enters here.
    conf_level : float

    Returns
    -------
    BoundsTable
        Keys `stratum`, `reference` (gaps), `restriction`, `bound` (the largest share; 0 for
        ``"reported_only"``). The sets hold every value that fits the data; the intervals cover
        the group's value, wherever in its set it is. An end of a gap where one of the two rates
        is 0, or everybody's, has no interval (on the ratio scale a rate of 0 is a limit itself).

    Raises
    ------
    EstimationError
        No group of `missing` is there, the reference is not, a share is outside 0 to 1, or a
        member is in several groups.

    Notes
    -----
    Highest rate of group g: :math:`\max_{S} (Y_g + \sum_{i \in S} y_i) / (R_g + \sum_{i \in S}
    r_i)` over the members without a group [1]_; for proportions
    :math:`(x_g + x_u) / (n_g + x_u)`, lowest :math:`x_g / (n_g + n_u - x_u)`. A gap is highest
    where the group is highest and the reference lowest. For proportions no member is needed on
    both sides, so the bounds are sharp; for rates they can be wider than needed where the sets of
    the two groups do not touch. Intervals: Imbens and Manski with errors clustered by member;
    Wilson's and Dobson's form for single rates, the log scale for ratios.

    References
    ----------
    .. [1] Horowitz JL, Manski CF (1998). J Econometrics 84(1):37-58.
       doi:10.1016/S0304-4076(97)00077-8

    Examples
    --------
    >>> from calaim_eval.equity import proportion_by_group
    >>> members = pd.DataFrame({
    ...     "member_id": range(100), "is_served": [True] * 20 + [False] * 60 + [True] * 5
    ...     + [False] * 15, "race_ethnicity": ["black"] * 80 + ["unknown"] * 20})
    >>> served = proportion_by_group(members, has="is_served", by="race_ethnicity")
    >>> bounds = missing_race_bounds(served, missing="unknown")
    >>> bounds.to_frame()[["restriction", "set_low", "set_high"]].round(3)
         restriction  set_low  set_high
    0  reported_only    0.250     0.250
    1     worst_case    0.211     0.294
    """
    groups, scale_of_rate, words, notes = _groups(source, stratum, outcome, months, per, unit)
    gone = missing_groups(list(groups), missing)
    recorded = _recorded(groups, gone, stratum, reference)
    _check_options(restrictions, conf_level)
    shares = [_shares(each, list(recorded)) for each in largest_shares]
    pool = _together([groups[name] for name in gone])
    none = dict.fromkeys(recorded, 0.0)
    asked = [(REPORTED_ONLY, none), *((kind, each) for kind in restrictions for each in shares)]
    ends = {
        (name, share): _ends(recorded[name], pool, share)
        for name in recorded
        for share in {each[name] for _, each in asked}
    }
    rows, pairs = [], []
    for name in (g for g in recorded if g != reference):
        for kind, each in asked:
            pairs.append((name, kind, each[name]))
            own = restricted_ends(ends[name, each[name]], ends[name, 0.0], kind)
            if reference is None:
                sides = (recorded[name], pool)
                rows.append(
                    level_limits(own, *sides, per=scale_of_rate, kind=words[1], level=conf_level)
                )
                continue
            base = restricted_ends(ends[reference, each[reference]], ends[reference, 0.0], kind)
            three = (recorded[name], recorded[reference], pool)
            rows.append(
                gap_limits(own, base, three, per=scale_of_rate, scale=scale, level=conf_level)
            )
    limits = np.array(rows, dtype=float).reshape(-1, 4)
    keys = pd.DataFrame(
        [
            {
                stratum: name,
                **({} if reference is None else {"reference": reference}),
                "restriction": kind,
                "bound": share,
            }
            for name, kind, share in pairs
        ]
    )
    behind = [[name, *([] if reference is None else [reference])] for name, _, _ in pairs]
    return BoundsTable(
        keys=keys,
        set_low=limits[:, 0],
        set_high=limits[:, 1],
        conf_low=limits[:, 2],
        conf_high=limits[:, 3],
        conf_level=conf_level,
        support=_support(
            [[recorded[s] for s in side] for side in behind], pool, is_rate=words[1] == "rate"
        ),
        estimand=_estimand(words, reference, scale),
        method=Method(
            "Bounds over every assignment of members without a recorded group",
            {
                "missing": tuple(gone),
                "reference": reference,
                "scale": scale,
                RATES_OF: (source.numerator_name if isinstance(source, RateTable) else outcome,),
            },
            MANSKI,
        ),
        bound_words=BOUND_WORDS,
        notes=(*notes, _missing_note(recorded, pool), *_no_interval_note(limits)),
    )


def _check_options(restrictions: Sequence[str], conf_level: float) -> None:
    """Refuse options outside their range."""
    for restriction in restrictions:
        check_option("restrictions", restriction, get_args(Restriction))
    if not 0.5 < conf_level < 1:
        raise EstimationError(f"`conf_level` ({conf_level}) is not between 0.5 and 1.")


def _shares(given: float | Mapping[str, float], recorded: Sequence[str]) -> dict[str, float]:
    """Largest share of each group; EstimationError where one is absent or outside 0 to 1."""
    each = dict(given) if isinstance(given, Mapping) else dict.fromkeys(recorded, given)
    bad = [g for g in recorded if not 0 < each.get(g, 0.0) <= 1]
    if bad or len(each) > len(recorded):
        raise EstimationError(
            f"`largest_shares`: {len(bad)} of {len(recorded)} groups have no share above 0 and at "
            f"most 1 ({', '.join(bad)}); the recorded groups: {', '.join(recorded)}."
        )
    return {g: float(each[g]) for g in recorded}


def _ends(group: MemberPatterns, pool: MemberPatterns, share: float) -> RateEnds:
    """Lowest and highest rate of a group."""
    low, high = (extreme_rate(group, pool, largest_share=share, highest=h) for h in (False, True))
    return RateEnds(low, high)


def _groups(
    source: RateTable | pd.DataFrame | MemberMonths,
    stratum: str,
    outcome: str | None,
    months: tuple[str, str] | None,
    per: float | None,
    unit: str | None,
) -> tuple[dict[str, MemberPatterns], float, tuple[str, str, str], tuple[str, ...]]:
    """Members by pattern and group; the rate's scale; measure, kind and unit; notes."""
    if isinstance(source, RateTable):
        if outcome is not None or per is not None or isinstance(source.per, np.ndarray):
            raise EstimationError(
                "`outcome` and `per` go with member-months; a table of proportions has its own."
            )
        groups = patterns_of_rates(source, stratum=stratum)
        return groups, source.per, (source.measure, "proportion", source.unit), source.notes
    if outcome is None:
        raise EstimationError("give `outcome`: the column with the events of each member-month.")
    groups, n_unknown = patterns_of_months(source, outcome=outcome, stratum=stratum, months=months)
    measure = MEASURES.get(outcome)
    scale = per if per is not None else (measure.per if measure else 1000.0)
    label = measure.label if measure else outcome
    own_unit = measure.unit if measure and measure.per == scale else None
    words = unit or own_unit or f"{label} per {scale:,.0f} member-months"
    notes = (
        (f"`{outcome}` is not known in {count_words(n_unknown)} member-months, left out.",)
        if n_unknown
        else ()
    )
    return groups, scale, (f"{label} by {stratum}", "rate", words), notes


def _recorded(
    groups: dict[str, MemberPatterns], gone: list[str], stratum: str, reference: str | None
) -> dict[str, MemberPatterns]:
    """Recorded groups in display order; EstimationError where one has no denominator."""
    names = [name for name in groups if name not in gone]
    ordered = in_group_order(pd.DataFrame({stratum: names}), [stratum])[stratum] if names else []
    recorded = {str(name): groups[str(name)] for name in ordered}
    if reference is not None and reference not in recorded:
        listed = ", ".join(f"'{name}'" for name in recorded)
        raise EstimationError(f"`reference` is '{reference}'; the recorded groups: {listed}.")
    if not recorded or (reference is not None and len(recorded) == 1):
        raise EstimationError("there is no recorded group to bound besides the reference.")
    empty = [name for name, own in recorded.items() if not float(own.time @ own.n) > 0]
    if empty:
        raise EstimationError(
            f"{len(empty)} of {len(recorded)} recorded groups have a denominator of 0 "
            f"({', '.join(empty)}); leave them out."
        )
    return recorded


def _together(parts: list[MemberPatterns]) -> MemberPatterns:
    """Members of several groups as one."""
    return MemberPatterns(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("events", "time", "n"))
    )


def _support(
    sides: list[list[MemberPatterns]], pool: MemberPatterns, *, is_rate: bool
) -> pd.DataFrame:
    """Members with an event, events and months of the smallest side, members without a record too.

    From the bounds and the recorded rate follows how many of those have an event, or have not.
    """
    rows = []
    for side in sides:
        behind = [*side, pool]
        n_members = [float(s.n[s.events > 0].sum()) for s in behind]
        events = [float(s.events @ s.n) for s in behind]
        if not is_rate:
            events.append(pool.n_members - n_members[-1])
        n_members[-1] = n_members[-1] or pool.n_members
        months = min(float(s.time @ s.n) for s in behind) if is_rate else np.nan
        rows.append((min(n_members), float(fewest_events(np.array(events))), months))
    return pd.DataFrame(rows, columns=["n_members", "n_events", "member_months"])


def _estimand(words: tuple[str, str, str], reference: str | None, scale: Scale) -> Estimand:
    """What is bounded, in words."""
    measure, _, unit = words
    if reference is None:
        contrast = "rate of all members of the group, recorded or not"
        return Estimand(measure, contrast, unit, is_causal=False)
    minus = "minus" if scale == "difference" else "over"
    return Estimand(
        f"{measure}: gap",
        f"rate of all members of the group {minus} rate of all members of '{reference}', "
        "recorded or not",
        unit if scale == "difference" else "rate ratio",
        scale=scale,
        is_causal=False,
    )


def _no_interval_note(limits: np.ndarray) -> tuple[str, ...]:
    """How many sets lack an end of their interval."""
    n = int((np.isfinite(limits[:, :2]) & np.isnan(limits[:, 2:])).any(axis=1).sum())
    if not n:
        return ()
    return (
        f"{n} of {len(limits)} rows have no interval, or one end of it only: in one of the groups "
        "compared no member has an event, or everybody has one, so its error is not known.",
    )


def _missing_note(recorded: dict[str, MemberPatterns], pool: MemberPatterns) -> str:
    """Share of members without a recorded group."""
    n = sum(own.n_members for own in recorded.values())
    share = share_words(pool.n_members, n + pool.n_members)
    return (
        f"Members without a recorded group: {share} of all; every row but `reported_only` counts "
        "them."
    )
