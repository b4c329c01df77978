from __future__ import annotations

import numpy as np
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import payment_denials, payment_timeliness, time_to_payment
from calaim_eval.tables import RowLedger

from .frames import ORGANIZATION, one_row, table

PAYMENT = table("""
    payment_id | plan   | organization_id | invoice_received_date | paid_date  | payment_status
    -----------+--------+-----------------+-----------------------+------------+---------------
    p1         | Anthem | o1              | 2024-10-01            | 2024-10-31 | paid
    p2         | Anthem | o1              | 2024-10-01            | 2024-11-01 | paid
    p3         | Anthem | o5              | 2024-10-01            | 2024-11-15 | paid
    p4         | Blue   | o5              | 2024-10-01            | 2024-11-16 |
    p5         | Blue   | o5              | 2024-10-01            |            | pending
    p6         | Blue   | o1              | 2024-10-01            | 2024-10-05 | denied
    p7         | Blue   | o1              | 2024-12-01            | 2024-12-02 | paid
    p8         | Blue   | o1              | 2024-09-30            | 2024-10-02 | paid
    p9         | Blue   | o1              | 2024-10-02            | 2024-10-01 | paid
    p10        | Blue   | o1              | 2024-10-02            |            | paid
""")
AS_OF = "2024-12-31"


def test_paid_in_time_over_matured_invoices_denials_apart():
    timely = payment_timeliness(PAYMENT, as_of=AS_OF, quarter="2024Q4").to_frame()
    thirty, forty_five = one_row(timely, within_days=30), one_row(timely, within_days=45)
    assert tuple(thirty[["numerator", "denominator"]]) == (2, 6)  # p1, p7
    assert tuple(forty_five[["numerator", "denominator"]]) == (3, 5)  # p1, p2, p3; p7 is young


def test_denials_over_decided():
    denials = payment_denials(PAYMENT, as_of=AS_OF, quarter="2024Q4")
    assert (denials.numerator[0], denials.denominator[0]) == (1, 6)
    assert denials.keys["population"].tolist() == ["all"]


def test_groups_of_organizations_add_to_the_margin():
    timely = payment_timeliness(
        PAYMENT,
        as_of=AS_OF,
        quarter="2024Q4",
        by="organization_type",
        organization=ORGANIZATION,
    )
    frame = timely.to_frame()
    cbo = one_row(frame, organization_type="cbo", within_days=30)
    assert tuple(cbo[["numerator", "denominator"]]) == (2, 3)
    at_30 = frame[frame["within_days"] == 30]
    assert at_30.loc[at_30["organization_type"] != "all", "denominator"].sum() == 6
    assert timely.about == "organizations"
    assert "2 plans" in timely.notes[0]


def test_by_plan_there_is_no_interval():
    frame = payment_timeliness(PAYMENT, as_of=AS_OF, by="plan").to_frame()
    blue = one_row(frame, plan="Blue", within_days=30)
    assert tuple(blue[["numerator", "denominator"]]) == (2, 4)
    assert np.isnan(blue["conf_low"])


def test_what_was_paid_later_was_not_yet_paid():
    frame = payment_timeliness(PAYMENT, as_of="2024-10-31", within_days=[30]).to_frame()
    assert tuple(frame[["numerator", "denominator"]].iloc[0]) == (2, 6)  # p1, p8


def test_rows_set_aside_are_counted():
    ledger = RowLedger()
    payment_timeliness(PAYMENT, as_of=AS_OF, quarter="2024Q4", ledger=ledger)
    ledger.check("payment", "payment_timeliness", len(PAYMENT))
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["paid before it was received"] == 1
    assert counts["status paid without a date"] == 1
    assert counts["received outside the window"] == 1


def test_time_to_payment_counts_denial_as_an_exit():
    table_ = time_to_payment(PAYMENT, as_of=AS_OF, quarter="2024Q4", horizon_days=[30, 45])
    # At day 1 p7 is paid, at 4 p6 denied; 7 invoices in all, p7 is not censored before.
    paid = table_.select((table_.keys["outcome"] == "paid").to_numpy())
    denied = table_.select((table_.keys["outcome"] == "denied").to_numpy())
    np.testing.assert_allclose(paid.estimate, [2 / 7, 4 / 7])
    np.testing.assert_allclose(denied.estimate, [1 / 7, 1 / 7])
    assert set(table_.support["n_members"]) == {2}


def test_wrong_options():
    with pytest.raises(EstimationError, match="cannot group invoices"):
        payment_timeliness(PAYMENT, as_of=AS_OF, by="county")
    with pytest.raises(EstimationError, match="needs the table `organization`"):
        payment_timeliness(PAYMENT, as_of=AS_OF, by="leadership")
    with pytest.raises(EstimationError, match="not positive"):
        payment_timeliness(PAYMENT, as_of=AS_OF, within_days=[0])


def test_nothing_to_measure():
    with pytest.raises(EstimationError, match="30 days old"):
        payment_timeliness(PAYMENT.iloc[[6]], as_of="2024-12-30")
    with pytest.raises(EstimationError, match="paid or denied"):
        payment_denials(PAYMENT.iloc[[4]], as_of=AS_OF)
    with pytest.raises(EstimationError, match="received in the window"):
        payment_denials(PAYMENT, as_of=AS_OF, quarter="2020Q1")


def test_wrong_tables():
    with pytest.raises(TableError, match="1 of 10 rows hold a value"):
        payment_denials(PAYMENT.replace("pending", "in the mail"), as_of=AS_OF)
    with pytest.raises(TableError, match="repeat the key"):
        payment_denials(PAYMENT.assign(payment_id="p"), as_of=AS_OF)
