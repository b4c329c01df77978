from __future__ import annotations

import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.integration import referral_closure, referral_losses

from .frames import one_row
from .test_referrals import AS_OF, REFERRAL


def test_each_lost_referral_has_its_last_step_and_ending():
    frame = referral_losses(REFERRAL, as_of=AS_OF).to_frame()
    # Matured: r1 ... r6, r8; r1 and r3 closed by services.
    assert one_row(frame, last_step="started", ending="still_open")["numerator"] == 1  # r2
    assert one_row(frame, last_step="authorized", ending="unable_to_reach")["numerator"] == 1  # r4
    assert one_row(frame, last_step="accepted", ending="still_open")["numerator"] == 1  # r5
    assert one_row(frame, last_step="referred", ending="still_open")["numerator"] == 2  # r6, r8
    assert tuple(one_row(frame, last_step="all", ending="all")[["numerator", "denominator"]]) == (
        5,
        7,
    )


def test_margins_add_up_both_ways():
    table = referral_losses(REFERRAL, as_of=AS_OF)
    cells = table.to_frame().pivot_table(
        index="last_step", columns="ending", values="numerator", sort=False
    )
    inner = cells.drop(index="all", columns="all")
    assert (inner.sum(axis=0) == cells.loc["all"].drop("all")).all()
    assert (inner.sum(axis=1) == cells["all"].drop("all")).all()
    assert table.margins == ("last_step", "ending")


def test_lost_and_closed_make_all():
    losses = referral_losses(REFERRAL, as_of=AS_OF)
    closure = referral_closure(REFERRAL, as_of=AS_OF, exempt_services=())
    assert losses.numerator[0] + closure.numerator[0] == losses.denominator[0]


@pytest.mark.parametrize(
    ("change", "ending"),
    [
        ({"referral_status": "declined"}, "declined_by_organization"),
        ({"referral_status": "closed"}, "closed_without_reason"),
        ({"referral_status": "closed", "closure_reason": "died"}, "died"),
        ({"closed_date": "2024-02-01", "closure_reason": "no_capacity"}, "no_capacity"),
        ({"closed_date": "2025-02-01", "closure_reason": "no_capacity"}, "still_open"),
    ],
)
def test_endings(change, ending):
    rows = REFERRAL.iloc[[5]].assign(**change)
    frame = referral_losses(rows, as_of=AS_OF).to_frame()
    assert one_row(frame, last_step="referred", ending=ending)["numerator"] == 1


def test_nothing_matured():
    with pytest.raises(EstimationError, match="none has matured"):
        referral_losses(REFERRAL.iloc[[6]], as_of=AS_OF)
