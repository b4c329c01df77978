"""What the measures of CBO integration recover where the truth is known.

    python tests/recovery/integration_recovery.py [draws]

Referrals with competing exits, networks with organizations that do not answer, a coordinator whose
effect is drawn, groups that mean nothing. Prints the tables of the section "CBO integration" of
``docs/methods/recovery.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.estimate import interrupted_time_series
from calaim_eval.integration import (
    brokerage_roles,
    ei_index,
    main_broker,
    network_bounds,
    network_correlation,
    referral_closure,
    referral_network,
    survey_network,
    time_to_service,
    without_coordinator,
)
from calaim_eval.integration.coordinator.coordinator_series import coordinator_evidence
from calaim_eval.simulate import simulate_referral_network

AS_OF = pd.Timestamp("2024-12-31")
MEMBERS, AGES = 300, 366
START, EXIT, VARIANCE = 1 / 60, 1 / 90, 0.5
CONFIRMED, DAYS_TO_CONFIRM, MATURED = 0.85, 5, 90
HORIZONS = (30, 60, 90)
RATIO, SHOCK, MONTHS, BREAK = 1.3, 1.15, 24, 12
GROUPS = ("cbo", "clinic", "county_agency")


@dataclass(frozen=True)
class Row:
    """Estimates of one number over draws."""

    what: str
    expected: str
    truth: float
    estimates: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def bias(self) -> float:
        return float(self.estimates.mean() - self.truth)

    @property
    def chance(self) -> float:
        """Monte Carlo error of the bias."""
        return float(self.estimates.std(ddof=1) / np.sqrt(len(self.estimates)))

    @property
    def coverage(self) -> float:
        return float(((self.low <= self.truth) & (self.truth <= self.high)).mean())

    @property
    def coverage_chance(self) -> float:
        """Monte Carlo error of a coverage of 95 %."""
        return float(np.sqrt(0.95 * 0.05 / len(self.estimates)))


def started_by(days: np.ndarray | float) -> np.ndarray | float:
    """Share whose service started by the end of a day: exits compete, members differ."""
    both = START + EXIT
    left = (1 + VARIANCE * both * (np.asarray(days) + 1)) ** (-1 / VARIANCE)
    return START / both * (1 - left)


def closed_by_now() -> float:
    """Share of matured referrals closed with services received on the day looked at."""
    ages = np.arange(MATURED, AGES)
    return float(CONFIRMED * np.mean(started_by(ages - DAYS_TO_CONFIRM)))


def draw_referrals(rng: np.random.Generator) -> pd.DataFrame:
    """One to three root referrals a member; those of one member go alike."""
    number = rng.integers(1, 4, MEMBERS)
    member = np.repeat(np.arange(MEMBERS), number)
    haste = rng.gamma(1 / VARIANCE, VARIANCE, MEMBERS)[member]
    n = len(member)
    is_start = rng.random(n) < START / (START + EXIT)
    when = np.minimum(rng.exponential(1 / ((START + EXIT) * haste)), 10_000).astype(int)
    referred = AS_OF - pd.to_timedelta(rng.integers(0, AGES, n), unit="D")
    begun = pd.Series(referred + pd.to_timedelta(when, unit="D"))
    is_seen = begun <= AS_OF
    closes = begun + pd.to_timedelta(DAYS_TO_CONFIRM, unit="D")
    is_closed = is_start & (rng.random(n) < CONFIRMED) & (closes <= AS_OF)
    is_ended = ~is_start & is_seen
    return pd.DataFrame(
        {
            "referral_id": [f"r{number}" for number in range(n)],
            "root_referral_id": [f"r{number}" for number in range(n)],
            "member_id": [f"m{number}" for number in member],
            "from_organization_id": "plan",
            "to_organization_id": "cbo",
            "service": "ecm",
            "referred_date": referred,
            "authorized_date": pd.NaT,
            "accepted_date": pd.NaT,
            "reached_date": pd.NaT,
            "service_started_date": begun.where(is_start & is_seen),
            "closed_date": closes.where(is_closed, begun.where(is_ended)),
            "referral_status": np.where(is_closed | is_ended, "closed", "accepted"),
            "closure_reason": np.select(
                [is_closed, is_ended], ["services_received", "unable_to_reach"], default=None
            ),
        }
    )


def exits_as_open(referral: pd.DataFrame, horizon: int) -> float:
    """One minus Kaplan-Meier, exits taken for open referrals: the mistake."""
    begun = (referral["service_started_date"] - referral["referred_date"]).dt.days
    left = (referral["closed_date"] - referral["referred_date"]).dt.days
    seen = (AS_OF - referral["referred_date"]).dt.days
    end = begun.where(begun.notna(), left.where(left.notna(), seen)).to_numpy()
    still = 1.0
    for day in range(horizon + 1):
        at_risk = (end >= day).sum()
        still *= 1 - ((begun == day).sum() / at_risk if at_risk else 0)
    return 1 - still


def referral_rows(draws: int, *, seed: int = 1) -> list[Row]:
    """Time to service and closure over draws."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for rng in _streams(draws, seed):
        referral = draw_referrals(rng)
        table = time_to_service(referral, as_of=AS_OF, horizon_days=HORIZONS).to_frame()
        own = table[table["outcome"] == "service_started"]
        for row in own.itertuples():
            name = f"started by day {row.days}|`time_to_service`|holds"
            found.setdefault(name, []).append((row.estimate, row.conf_low, row.conf_high))
        wrong = exits_as_open(referral, 90)
        name = "started by day 90|1 - Kaplan-Meier, exits taken for open|fails"
        found.setdefault(name, []).append((wrong, np.nan, np.nan))
        for days, expected in ((MATURED, "holds"), (0, "fails")):
            closed = referral_closure(referral, as_of=AS_OF, maturation_days=days).to_frame()
            name = f"closed with services received|`referral_closure`, {days} days|{expected}"
            first = closed.iloc[0]
            found.setdefault(name, []).append(
                (first["rate"], first["conf_low"], first["conf_high"])
            )
    truths = {f"started by day {day}": float(started_by(day)) for day in HORIZONS}
    truths["closed with services received"] = closed_by_now()
    return [_row(name, values, truths[name.split("|")[0]]) for name, values in found.items()]


def _row(name: str, values: list[tuple[float, float, float]], truth: float) -> Row:
    estimates, low, high = np.array(values, dtype=float).T
    *what, expected = name.split("|")
    return Row(" | ".join(what), expected, truth, estimates, low, high)


def draw_series(
    rng: np.random.Generator, *, ratio: float, shock: float = 1.0, others: int = 8
) -> pd.DataFrame:
    """Monthly referrals of counties; one has a coordinator from the middle on."""
    rows = []
    for place in range(others + 1):
        level = 0.02 * np.exp(rng.normal(0, 0.3))
        risk = 8_000 + 2_000 * rng.random()
        for month in range(MONTHS):
            is_after = month >= BREAK
            rate = level * np.exp(0.005 * month) * (shock if is_after else 1)
            rate *= ratio if is_after and place == 0 else 1
            rows.append((f"county {place}", month, rng.poisson(risk * rate), risk))
    return pd.DataFrame(rows, columns=["county", "month", "referrals", "members"])


def coordinator_rows(draws: int, *, seed: int = 2) -> list[Row]:
    """The ratio of a coordinator over draws, alone and against other counties."""
    cases = (
        ("no other change|segmented series|holds", 1.0, 0),
        ("a change everywhere|segmented series|fails", SHOCK, 0),
        ("a change everywhere|controlled series|holds", SHOCK, 8),
    )
    robust = "no other change|segmented series, Newey-West errors|too narrow"
    found: dict[str, list[tuple[float, float, float]]] = {}
    for rng in _streams(draws, seed):
        for name, shock, others in cases:
            series = draw_series(rng, ratio=RATIO, shock=shock, others=others)
            table = _evidence(series).effects.to_frame()
            row = table[table["term"] == "average_effect"].iloc[-1]  # the difference goes last
            found.setdefault(name, []).append((row["estimate"], row["conf_low"], row["conf_high"]))
        alone = draw_series(rng, ratio=RATIO, others=0)
        table = _with_robust_errors(alone)
        row = table[table["term"] == "average_effect"].iloc[0]
        found.setdefault(robust, []).append((row["estimate"], row["conf_low"], row["conf_high"]))
    return [_row(name, values, RATIO) for name, values in found.items()]


def _with_robust_errors(series: pd.DataFrame) -> pd.DataFrame:
    """The same segmented series with the errors of Newey and West instead of the model's own."""
    return interrupted_time_series(
        series[["month", "referrals", "members"]],
        outcome="referrals",
        member_months="members",
        break_month=BREAK,
        model="quasi_poisson",
        std_error="newey_west",
    ).to_frame()


def placebo_p_values(draws: int, *, seed: int = 3) -> np.ndarray:
    """P-values of a coordinator without effect among eight other counties."""
    return np.array(
        [
            _evidence(draw_series(rng, ratio=1.0, shock=SHOCK)).placebo_p_value
            for rng in _streams(draws, seed)
        ]
    )


def _evidence(series: pd.DataFrame):
    return coordinator_evidence(
        series, place="county 0", start=BREAK, count="referrals", at_risk="members"
    )


def draw_ties(rng: np.random.Generator, n: int, chance: float) -> np.ndarray:
    """Directed ties by chance, some organizations more active than others."""
    active = np.minimum(chance * rng.gamma(2, 0.5, n), 0.9)
    ties = rng.random((n, n)) < active[:, None]
    np.fill_diagonal(ties, val=False)
    return ties


def network_of(ties: np.ndarray, answered: np.ndarray | None = None):
    """Survey network of the ties that those who answered report."""
    names = [f"o{number:02d}" for number in range(len(ties))]
    seen = ties if answered is None else ties & answered[:, None]
    sender, receiver = np.nonzero(seen)
    frame = pd.DataFrame(
        {
            "wave_date": pd.Timestamp("2024-07-01"),
            "from_organization_id": [names[at] for at in sender],
            "to_organization_id": [names[at] for at in receiver],
            "tie_type": "referral",
            "tie_strength": 1,
        }
    )
    who = (
        names
        if answered is None
        else [name for name, is_in in zip(names, answered, strict=True) if is_in]
    )
    return survey_network(
        frame, wave="2024-07-01", tie_type="referral", organizations=names, answered=who
    )


def true_values(ties: np.ndarray) -> dict[str, float]:
    """Density and Freeman's centralization of in- and out-degree, by their definitions."""
    n = len(ties)
    found = {"density": ties.sum() / (n * (n - 1))}
    for name, degree in (("out", ties.sum(axis=1)), ("in", ties.sum(axis=0))):
        found[name] = (degree.max() - degree).sum() / (n - 1) ** 2
    return {name: float(value) for name, value in found.items()}


def bounds_hold(draws: int, *, seed: int = 4) -> pd.DataFrame:
    """Whether bounds of networks with missing answers hold the truth, and how wide they are."""
    rows = []
    for rng in _streams(draws, seed):
        ties = draw_ties(rng, 20, 0.2)
        answered = rng.random(20) < 0.75
        if answered.sum() < 3:
            continue
        truth = true_values(ties)
        bounds = network_bounds(network_of(ties, answered)).to_frame()
        for row in bounds[bounds["rule"] == "reported"].itertuples():
            name = next((key for key in ("density", "out", "in") if key in row.measure), "")
            value = truth[name]
            holds = row.low - 1e-9 <= value <= row.high + 1e-9
            rows.append((row.measure, value, row.reported, row.low, row.high, holds))
    columns = ["measure", "truth", "reported", "low", "high", "holds"]
    return pd.DataFrame(rows, columns=columns)


def null_p_values(draws: int, *, seed: int = 5) -> dict[str, np.ndarray]:
    """P-values of networks and groups that have nothing to do with each other."""
    tests: dict[str, Callable[[np.random.Generator, int], float]] = {
        "`network_correlation`": _p_of_correlation,
        "`ei_index`": _p_of_mixing,
        "`brokerage_roles`, all coordinators": _p_of_brokerage,
    }
    return {
        name: np.array(
            [test(rng, number) for number, rng in enumerate(_streams(draws, seed + place))]
        )
        for place, (name, test) in enumerate(tests.items())
    }


def _p_of_correlation(rng: np.random.Generator, number: int) -> float:
    one, other = (network_of(draw_ties(rng, 14, 0.25)) for _ in range(2))
    return network_correlation(one, other, n_permutations=199, seed=number).p_value


def _groups(rng: np.random.Generator, n: int) -> dict[str, str]:
    return {f"o{number:02d}": str(rng.choice(GROUPS)) for number in range(n)}


def _p_of_mixing(rng: np.random.Generator, number: int) -> float:
    network = network_of(draw_ties(rng, 20, 0.2))
    return float(ei_index(network, _groups(rng, 20), n_permutations=199, seed=number).p_value[0])


def _p_of_brokerage(rng: np.random.Generator, number: int) -> float:
    network = network_of(draw_ties(rng, 20, 0.2))
    # Of all organizations together: a single one has few paths, and many orders tie.
    return float(
        brokerage_roles(network, _groups(rng, 20), n_permutations=199, seed=number).total_p_value[0]
    )


def coordinators_found(draws: int) -> pd.DataFrame:
    """Networks that one coordinator joins: is it found, and what is left without it."""
    rows = []
    for seed in range(draws):
        world = simulate_referral_network(counties=1 + seed % 6, seed=seed)
        network = referral_network(world.referral, as_of="2024-12-31", minimum_members=11)
        known = sum(1 for _ in world.large_ties)
        left = without_coordinator(network, world.coordinator).to_frame()
        cells = left[left["measure"] == "components"].set_index("network")["numerator"]
        rows.append(
            (
                world.n_counties,
                main_broker(network) == world.coordinator,
                network.n_ties == known,
                cells["with_coordinator"],
                cells["without_coordinator"],
            )
        )
    columns = ["counties", "is_found", "ties_are_those_drawn", "pieces_with", "pieces_without"]
    return pd.DataFrame(rows, columns=columns)


def _streams(draws: int, seed: int) -> Iterator[np.random.Generator]:
    """A stream of chance for each draw."""
    for each in np.random.SeedSequence(seed).spawn(draws):
        yield np.random.default_rng(each)


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    show = sys.stdout.write
    for row in (*referral_rows(draws), *coordinator_rows(draws)):
        cover = "" if np.isnan(row.low).all() else f"{row.coverage:.0%} ({row.coverage_chance:.0%})"
        bias = f"{row.bias:+.4f} ({row.chance:.4f})"
        show(f"| {row.what} | {row.expected} | {row.truth:.3f} | {bias} | {cover} |\n")
    bounds = bounds_hold(draws)
    for measure, part in bounds.groupby("measure"):
        width = (part["high"] - part["low"]).mean()
        off = (part["reported"] - part["truth"]).mean()
        show(f"| {measure} | {part['truth'].mean():.3f} | {off:+.3f} | {width:.3f} | ")
        show(f"{part['holds'].mean():.0%} | {len(part)} |\n")
    p_values = null_p_values(draws) | {"placebo counties": placebo_p_values(draws)}
    for name, p in p_values.items():
        p = p[~np.isnan(p)]
        shares = " | ".join(f"{(p <= level + 1e-9).mean():.3f}" for level in (0.05, 0.1, 0.25, 0.5))
        show(f"| {name} | {shares} | {len(p)} |\n")
    show(coordinators_found(24).groupby("counties").mean().to_string() + "\n")


if __name__ == "__main__":
    main()
