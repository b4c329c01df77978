"""The highest and lowest rate a group can have, whoever of those without a group belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calaim_eval.results.effect_table import t_quantile, t_tail

_STEPS = 200


@dataclass(frozen=True, slots=True)
class MemberPatterns:
    """Members counted by what they have: events, time at risk, and how many have just that.

    Attributes
    ----------
    events, time : np.ndarray
        Events and denominator (member-months; 1 for a proportion) of one member; shape (k,).
    n : np.ndarray
        Members with this pattern; shape (k,).
    """

    events: np.ndarray
    time: np.ndarray
    n: np.ndarray

    @property
    def n_members(self) -> float:
        """Members in all patterns."""
        return float(self.n.sum())


@dataclass(frozen=True, slots=True)
class ExtremeRate:
    """One end of the range of a group's rate.

    Attributes
    ----------
    rate : float
        Events over time, group and chosen members together.
    events, time : float
        Its numerator and denominator.
    own, others : np.ndarray
        Influence of a member of the group, and of a member without a group, on the rate, by
        pattern.
    """

    rate: float
    events: float
    time: float
    own: np.ndarray
    others: np.ndarray


def extreme_rate(
    group: MemberPatterns, missing: MemberPatterns, *, largest_share: float, highest: bool
) -> ExtremeRate:
    r"""Highest or lowest rate of the group over every choice of members without a group.

    Parameters
    ----------
    group, missing : MemberPatterns
        Members recorded in the group (with time at risk), and members without a group.
    largest_share : float
        At most this share of the members without a group belongs to this one; 0 to 1.
    highest : bool

    Notes
    -----
    A fractional programme: at the optimum rate :math:`\lambda` the members with the largest
    :math:`y_i - \lambda r_i > 0` are chosen (Dinkelbach's iteration; each step raises the rate
    until it no longer moves). By the envelope theorem the choice itself adds nothing to the
    influence of a member, which is :math:`\{(y_i - \lambda r_i - q)_+ + s q\} / R` with `q` the
    score of the last member chosen where the share `s` binds, else 0.
    """
    sign = 1.0 if highest else -1.0
    own_events, own_time = float(group.events @ group.n), float(group.time @ group.n)
    room = largest_share * missing.n_members
    rate, last, binds = own_events / own_time, 0.0, False
    events, time = own_events, own_time
    for _ in range(_STEPS):
        score = sign * (missing.events - rate * missing.time)
        chosen, last, binds = _best(score, missing.n, room)
        events = own_events + float(missing.events @ chosen)
        time = own_time + float(missing.time @ chosen)
        if sign * (events / time - rate) <= 1e-14 * max(abs(rate), 1.0):
            break
        rate = events / time
    score = sign * (missing.events - rate * missing.time)
    q, share = (last, largest_share) if binds else (0.0, 0.0)
    n = group.n_members + (missing.n_members if largest_share > 0 else 0.0)
    sample = np.sqrt(n / (n - 1)) if n > 1 else np.nan
    return ExtremeRate(
        rate=rate,
        events=events,
        time=time,
        own=sample * (group.events - rate * group.time) / time,
        others=sample * sign * (np.maximum(score - q, 0.0) + share * q) / time,
    )


def _best(score: np.ndarray, n: np.ndarray, room: float) -> tuple[np.ndarray, float, bool]:
    """Members of each pattern with the best scores above 0, the last score, does room bind."""
    order = np.argsort(-score, kind="stable")
    wanted = np.where(score[order] > 0, n[order], 0.0)
    before = np.cumsum(wanted) - wanted
    taken = np.clip(room - before, 0.0, wanted)
    chosen = np.zeros(len(n))
    chosen[order] = taken
    binds = bool(wanted.sum() > room)
    if not binds:
        return chosen, 0.0, False
    # Without room nobody is chosen: no score is good enough.
    return chosen, float(score[order][taken > 0].min() if room > 0 else score.max()), True


def bound_quantile(
    width: float, largest_error: float, conf_level: float, degrees: float = np.nan
) -> float:
    r"""Number of standard errors by which both ends of a set are moved out.

    Solves :math:`\Phi(c + \Delta / \sigma) - \Phi(-c) = 1 - \alpha`: the interval then covers the
    value, wherever in the set it is, with the level asked for. 1.96 for a point, 1.645 for a wide
    set (95 %). With `degrees` Student's t takes the place of the normal distribution.

    References
    ----------
    Imbens GW, Manski CF (2004). Econometrica 72(6):1845-1857.
    doi:10.1111/j.1468-0262.2004.00555.x; Stoye J (2009). Econometrica 77(4):1299-1315.
    doi:10.3982/ECTA7347
    """
    from scipy import optimize

    df = np.array([degrees])
    two_sided = float(np.squeeze(t_quantile(0.5 + conf_level / 2, df)))
    if not largest_error > 0:
        return two_sided
    far = width / largest_error

    def miss(c: float) -> float:
        return float((t_tail(np.array([c + far]), df) - t_tail(np.array([-c]), df))[0] - conf_level)

    one_sided = float(np.squeeze(t_quantile(conf_level, df)))
    if miss(one_sided) >= 0:
        return one_sided
    return float(optimize.brentq(miss, one_sided, two_sided + 1e-9))
