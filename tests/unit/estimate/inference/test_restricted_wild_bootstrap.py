"""Draws that obey the null: against least squares on members, every sign written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import (
    aggregate,
    count_effects,
    group_time_att,
    restricted_wild_bootstrap,
)
from calaim_eval.estimate.cohort_month.group_time_effects import GroupTimeEffects
from calaim_eval.moments import reduce_panel

START = 4


def two_months(seed: int, *, counties: int = 7, **options: object) -> pd.DataFrame:
    """The month before exposure and the first after, members with gaps."""
    frame = county_panel(seed, counties=counties, phase_1=3, members=160, **options)
    return frame[frame["month"].isin([START - 1, START])].reset_index(drop=True)


def effects_of(frame: pd.DataFrame, **options: object) -> GroupTimeEffects:
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", unbalanced="cell_means", **options
    )
    return group_time_att(moments, outcome="visits", cluster="county")


class LeastSquares:
    """y on dummies of the cell-months, contrast c; the bootstrap of members, step by step."""

    def __init__(self, frame: pd.DataFrame, labels: pd.Series, contrast: dict[str, float]) -> None:
        dummies = pd.get_dummies(labels, dtype=float)
        self.x, self.y = dummies.to_numpy(), frame["visits"].to_numpy(dtype=float)
        self.c = np.array([contrast[name] for name in dummies])
        self.groups = pd.factorize(frame["county"])[0]
        self.n_groups = self.groups.max() + 1
        self.inverse = np.linalg.inv(self.x.T @ self.x)

    def fitted(self, y: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Contrast, its clustered error, coefficients."""
        beta = self.inverse @ (self.x.T @ y)
        score = (y - self.x @ beta) * (self.x @ self.inverse @ self.c)
        by_group = np.bincount(self.groups, weights=score)
        return float(self.c @ beta), float(np.sqrt(by_group @ by_group)), beta

    def p_value(self, null: float) -> float:
        """Share of all sign draws at least as far out as the data."""
        estimate, error, beta = self.fitted(self.y)
        direction = self.inverse @ self.c
        restricted = beta - direction * (estimate - null) / (self.c @ direction)
        left = self.y - self.x @ restricted
        count = 0
        for signs in product((-1.0, 1.0), repeat=self.n_groups):
            drawn = self.x @ restricted + np.array(signs)[self.groups] * left
            found, its_error, _ = self.fitted(drawn)
            count += abs(found - null) / its_error >= abs(estimate - null) / error * (1 - 1e-9)
        return count / 2**self.n_groups


def two_by_two(frame: pd.DataFrame) -> LeastSquares:
    side = np.where(frame["cohort"].notna(), "exposed", "other")
    labels = pd.Series(side) + np.where(frame["month"] == START, " after", " before")
    contrast = {"exposed after": 1.0, "exposed before": -1.0}
    return LeastSquares(frame, labels, contrast | {"other after": -1.0, "other before": 1.0})


@pytest.mark.parametrize("effect", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("null", [0.0, 0.4])
def test_two_by_two_is_the_bootstrap_of_least_squares(effect: float, null: float) -> None:
    frame = two_months(3, effect=effect)
    row = restricted_wild_bootstrap(effects_of(frame), weights="rademacher", null=null).iloc[0]
    by_members = two_by_two(frame)
    estimate, error, _ = by_members.fitted(by_members.y)
    assert row["estimate"] == pytest.approx(estimate, rel=1e-10)
    assert row["std_error"] == pytest.approx(error, rel=1e-10)
    assert row["p_value"] == pytest.approx(by_members.p_value(null), abs=1e-12)
    assert (row["draws"], row["is_enumerated"], row["n_clusters"]) == (2**7, True, 7)
    assert row["p_value"] / row["p_value_step"] == pytest.approx(
        round(row["p_value"] / row["p_value_step"])
    )


@pytest.mark.parametrize(
    ("seed", "effect", "theirs"),
    [(3, 0.0, 52), (3, 0.6, 70), (3, 1.5, 0), (4, 0.4, 28), (5, 0.8, 2)],
)
def test_wildboottest_gives_the_same(seed: int, effect: float, theirs: int) -> None:
    # wildboottest 0.3.2 (the Python port of fwildclusterboot): OLS of visits on exposed, after and
    # both, impose_null=True, bootstrap_type="11", all 128 Rademacher draws. It counts draws
    # strictly farther out than the data; the data and their mirror image are ties, which fall on
    # either side by rounding. So ours are its p-value, or 2 of 128 more.
    frame = two_months(seed, effect=effect)
    row = restricted_wild_bootstrap(effects_of(frame), weights="rademacher").iloc[0]
    assert round(128 * row["p_value"]) in (theirs, theirs + 2)


def test_covariate_cells_and_months_are_one_mean_each() -> None:
    frame = county_panel(8, counties=6, phase_1=3, members=240)
    frame["cell"] = np.where(frame["member_id"] % 3 == 0, "a", "b")
    att_gt = effects_of(frame, covariate_cells="cell")
    row = restricted_wild_bootstrap(att_gt, weights="rademacher").iloc[0]
    exposed = frame["cohort"].notna()
    contrast: dict[str, float] = {}
    months = [START, START + 1]
    for month in months:
        size = {
            cell: ((frame["cell"] == cell) & exposed & (frame["month"] == month)).sum()
            for cell in "ab"
        }
        for cell, n in size.items():
            share = n / sum(size.values()) / len(months)
            for side, sign in ((True, 1), (False, -1)):
                for t, after in ((month, 1), (START - 1, -1)):
                    name = f"{side} {cell} {t}"
                    contrast[name] = contrast.get(name, 0.0) + sign * after * share
    labels = exposed.astype(str) + " " + frame["cell"] + " " + frame["month"].astype(str)
    used = labels.isin(list(contrast))
    by_members = LeastSquares(frame[used].reset_index(drop=True), labels[used], contrast)
    assert row["estimate"] == pytest.approx(by_members.fitted(by_members.y)[0], rel=1e-9)
    assert row["estimate"] == pytest.approx(aggregate(att_gt).estimate[0], rel=1e-12)
    assert row["p_value"] == pytest.approx(by_members.p_value(0.0), abs=1e-12)


@pytest.mark.parametrize("seed", [3, 4])
def test_interval_ends_where_least_squares_begins_to_reject(seed: int) -> None:
    frame = two_months(seed)
    row = restricted_wild_bootstrap(effects_of(frame), weights="rademacher", conf_level=0.8).iloc[0]
    by_members = two_by_two(frame)
    small = 1e-6 * row["std_error"]
    for value, is_kept in (
        (row["conf_low"] + small, True),
        (row["conf_low"] - small, False),
        (row["conf_high"] - small, True),
        (row["conf_high"] + small, False),
    ):
        assert (by_members.p_value(value) > 0.2) == is_kept


def test_four_clusters_reject_nothing_at_five_percent() -> None:
    row = restricted_wild_bootstrap(
        effects_of(two_months(3, counties=4)), weights="rademacher"
    ).iloc[0]
    # The data and their mirror image are two of sixteen draws.
    assert row["p_value"] >= 2 / 16
    assert np.isinf([row["conf_low"], row["conf_high"]]).all()


def test_draws_agree_with_their_enumeration() -> None:
    att_gt = effects_of(two_months(5, counties=10, effect=0.5))
    exact = restricted_wild_bootstrap(att_gt, weights="rademacher").iloc[0]
    drawn = restricted_wild_bootstrap(att_gt, rng=np.random.default_rng(1), draws=4_000).iloc[0]
    again = restricted_wild_bootstrap(att_gt, rng=np.random.default_rng(1), draws=4_000).iloc[0]
    assert drawn["p_value"] == again["p_value"]
    assert not drawn["is_enumerated"]
    # Other weights have another distribution; with ten clusters they are near.
    assert drawn["p_value"] == pytest.approx(exact["p_value"], abs=0.1)


def test_strata_and_event_times_are_what_each_is_alone() -> None:
    frame = county_panel(6, counties=6, phase_1=3, members=240)
    jointly = restricted_wild_bootstrap(
        effects_of(frame, stratum="group"), by="event_time", weights="rademacher"
    )
    for label, own in frame.groupby("group"):
        alone = restricted_wild_bootstrap(effects_of(own), by="event_time", weights="rademacher")
        of_label = jointly[jointly["group"] == label].drop(columns="group")
        pd.testing.assert_frame_equal(of_label.reset_index(drop=True), alone)
    last = restricted_wild_bootstrap(
        effects_of(frame), weights="rademacher", min_event_time=1
    ).iloc[0]
    study = restricted_wild_bootstrap(effects_of(frame), by="event_time", weights="rademacher")
    of_last = study[study["event_time"] == 1].iloc[0]
    assert last["p_value"] == of_last["p_value"]


def test_a_month_that_is_its_own_base_has_no_p_value() -> None:
    frame = county_panel(6, counties=6, phase_1=3, members=240)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    att_gt = group_time_att(moments, outcome="visits", cluster="county", base_period="universal")
    study = restricted_wild_bootstrap(att_gt, by="event_time", weights="rademacher")
    row = study[study["event_time"] == -1].iloc[0]
    assert row[["std_error", "p_value", "conf_low", "conf_high"]].isna().all()
    assert study[study["event_time"] >= 0]["p_value"].notna().all()


def test_what_is_refused() -> None:
    frame = two_months(3)
    att_gt = effects_of(frame)
    with pytest.raises(EstimationError, match="Give rng="):
        restricted_wild_bootstrap(att_gt)
    with pytest.raises(EstimationError, match="not one of 'webb', 'rademacher'"):
        restricted_wild_bootstrap(att_gt, weights="mammen")
    with pytest.raises(EstimationError, match="by: 'month' is not one of"):
        restricted_wild_bootstrap(att_gt, by="month")
    with pytest.raises(EstimationError, match="no effect lies within"):
        restricted_wild_bootstrap(att_gt, weights="rademacher", min_event_time=9)
    by_member = group_time_att(att_gt.moments, outcome="visits")
    with pytest.raises(EstimationError, match="clustered by member"):
        restricted_wild_bootstrap(by_member)
    ratio = count_effects(att_gt.moments, outcome="visits", cluster="county")
    with pytest.raises(EstimationError, match="takes the effects of `group_time_att`"):
        restricted_wild_bootstrap(ratio)
