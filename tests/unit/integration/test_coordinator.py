"""A coordinator's case: published points, monthly series and case finding."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.coordinator import (
    case_finding_yield,
    compare_points,
    coordinator_evidence,
    read_published,
    timeline_plot,
)
from calaim_eval.integration.coordinator.person_steps import person_columns

CASE = Path(__file__).resolve().parents[3] / "analyses" / "coordinator_case" / "published.csv"


@pytest.fixture
def published():
    return read_published(CASE)


def test_change_between_the_published_points_by_hand(published):
    found = compare_points(published, "KT1", "KT2")
    quantities = found.quantities.set_index("quantity")["value"]
    assert quantities["absolute change"] == 213
    assert quantities["percent change"] == pytest.approx(100 * 213 / 220)
    assert quantities["days between"] == 31 + 30 + 31 + 31 + 29 + 31 + 30 + 31
    assert quantities["calendar months between"] == 8
    assert quantities["compound growth a month"] == pytest.approx((433 / 220) ** (1 / 8) - 1)
    words = " ".join(found.does_not_say)
    assert "not an interrupted time series" in words
    assert "not a service received" in words
    assert (pd.to_datetime(found.events_between["date"]) <= "2024-06-01").all()


def test_published_values_are_those_of_the_reference_file(shared, published):
    path = shared / "reference" / "integration" / "data" / "kings_tulare_case" / "case_facts.csv"
    facts = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("id")["value"]
    for row in published.itertuples():
        assert facts[row.id] in (row.value, ""), row.id


@pytest.mark.parametrize(
    ("measure", "quantity"),
    [
        ("enrollment absolute change 220->433", "absolute change"),
        ("enrollment percent change exact", "percent change"),
        ("days 2023-10-01 to 2024-06-01", "days between"),
        ("months elapsed (calendar)", "calendar months between"),
        ("implied compound monthly growth over 8 months", "compound growth a month"),
        ("Poisson count ratio 433/220", "ratio"),
    ],
)
def test_reference_values_of_the_case(shared, published, measure, quantity):
    table = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv")
    row = table[(table["dataset"] == "kings_tulare_case") & (table["measure"] == measure)].iloc[0]
    found = compare_points(published, "KT1", "KT2").quantities.set_index("quantity")["value"]
    assert found[quantity] == pytest.approx(float(row["value"]), abs=float(row["tol"]) + 1e-12)


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        ("KT1", "KT5", EstimationError, "differ in measure"),
        ("KT2", "KT1", EstimationError, "not in time order"),
        ("KT8", "KT8", EstimationError, "no number above 0"),
        ("KT1", "none", TableError, "no published figure"),
    ],
)
def test_points_of_different_things_are_refused(published, first, second, error, message):
    with pytest.raises(error, match=message):
        compare_points(published, first, second)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("confirmed", "sure", "lacks `confirmed`"),
        ("KT2", "KT1", "ids repeat"),
        (",1470,persons in one night,", ",1470,,", "`unit` is empty in 1 of"),
        (",partial,", ",maybe,", "`confirmed` is none of"),
        ("2024-06-01,2024-06-01", "June,2024-06-01", "`period_start` is no date"),
    ],
)
def test_a_figure_without_its_facts_is_refused(tmp_path, old, new, message):
    path = tmp_path / "published.csv"
    path.write_text(CASE.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TableError, match=message):
        read_published(path)


def series(rng, *, n_places=8, n_months=24, begins=12, ratio=1.0):
    """Poisson counts of places with one line; the first has `ratio` times as many afterwards."""
    months = pd.period_range("2022-10", periods=n_months, freq="M")
    rows = [
        (f"c{j}", month, rng.poisson(100 * (ratio if j == 0 and t >= begins else 1.0)), 5000)
        for j in range(n_places)
        for t, month in enumerate(months)
    ]
    return pd.DataFrame(rows, columns=["county", "month", "referrals", "members"])


COLUMNS = {"place": "c0", "start": "2023-10", "count": "referrals", "at_risk": "members"}


def test_few_months_are_described_and_not_modelled():
    found = coordinator_evidence(series(np.random.default_rng(0), n_months=15), **COLUMNS)
    assert found.stage == "description"
    assert found.effects is None
    assert found.rates["n_months"].tolist() == [12, 3]
    assert "No effect is estimated" in found.does_not_say[0]


def test_without_other_places_the_series_is_segmented():
    frame = series(np.random.default_rng(1), ratio=1.5)
    found = coordinator_evidence(frame[frame["county"].isin(["c0", "c1"])], **COLUMNS)
    assert found.stage == "segmented"
    assert found.placebo is None
    assert "1 other places" in found.does_not_say[0]
    row = found.effects.to_frame().set_index("term").loc["average_effect"]
    assert row["conf_low"] < 1.5 < row["conf_high"]


@pytest.mark.parametrize("kind", ["period", "date", "whole"])
def test_a_controlled_series_finds_the_ratio_and_ranks_it(kind):
    frame = series(np.random.default_rng(2), ratio=1.5)
    start = {"period": "2023-10", "date": "2023-10-01", "whole": 12}[kind]
    if kind == "date":
        frame["month"] = frame["month"].dt.to_timestamp()
    if kind == "whole":
        frame["month"] = frame.groupby("county").cumcount()
    found = coordinator_evidence(frame, **{**COLUMNS, "start": start})
    assert found.stage == "controlled"
    keys, table = found.effects.keys, found.effects.to_frame()
    row = table[(keys["series"] == "difference") & (keys["term"] == "average_effect")].iloc[0]
    assert row["conf_low"] < 1.5 < row["conf_high"]
    assert found.placebo["place"].tolist() == [f"c{j}" for j in range(8)]
    assert found.placebo_p_value == 1 / 8


@pytest.mark.parametrize("start", ["2023-10-01", pd.Timestamp("2023-10-01", tz="US/Pacific")])
def test_months_with_a_time_zone_are_those_of_its_calendar(start):
    """Midnight in California is the day before or the same day elsewhere, never another month."""
    frame = series(np.random.default_rng(2), ratio=1.5)
    frame["month"] = frame["month"].dt.to_timestamp()
    plain = coordinator_evidence(frame, **{**COLUMNS, "start": "2023-10-01"})
    zoned = frame.assign(month=frame["month"].dt.tz_localize("US/Pacific"))
    found = coordinator_evidence(zoned, **{**COLUMNS, "start": start})
    assert found.stage == "controlled"
    np.testing.assert_allclose(found.effects.estimate, plain.effects.estimate)
    pd.testing.assert_frame_equal(found.rates, plain.rates)


@pytest.mark.parametrize("start", ["2023-10-16", pd.Timestamp("2023-10-31"), pd.Period("2023-10")])
@pytest.mark.parametrize("day", [0, 14])
def test_a_day_in_the_first_month_stands_for_the_month(start, day):
    frame = series(np.random.default_rng(2), ratio=1.5)
    frame["month"] = frame["month"].dt.to_timestamp()
    plain = coordinator_evidence(frame, **COLUMNS)
    within = frame.assign(month=frame["month"] + pd.Timedelta(days=day))
    found = coordinator_evidence(within, **{**COLUMNS, "start": start})
    pd.testing.assert_frame_equal(found.rates, plain.rates)
    np.testing.assert_allclose(found.effects.estimate, plain.effects.estimate)


def test_what_happens_everywhere_is_taken_out():
    frame = series(np.random.default_rng(3))
    late = frame["month"] >= pd.Period("2023-10", freq="M")
    frame.loc[late, "referrals"] *= 3
    found = coordinator_evidence(frame, **COLUMNS)
    keys, table = found.effects.keys, found.effects.to_frame()
    row = table[(keys["series"] == "difference") & (keys["term"] == "average_effect")].iloc[0]
    assert row["conf_low"] < 1 < row["conf_high"]
    alone = table[(keys["series"] == "exposed") & (keys["term"] == "level_change")].iloc[0]
    assert alone["conf_low"] > 2


def test_ranks_are_even_where_nothing_happened():
    rng = np.random.default_rng(7)
    found = [coordinator_evidence(series(rng, n_places=5), **COLUMNS) for _ in range(16)]
    ranks = np.array([each.placebo_p_value for each in found])
    assert set(np.round(ranks * 5)) <= {1, 2, 3, 4, 5}
    # Mean of a rank from 1 to 5, over 5: 0.6, with standard error sqrt(2) / 5 / sqrt(16).
    assert abs(ranks.mean() - 0.6) < 4 * np.sqrt(2) / 5 / np.sqrt(16)


def test_places_without_all_months_are_no_comparison():
    frame = series(np.random.default_rng(4))
    gappy = frame["county"].isin(["c1", "c2", "c3", "c4", "c5"])
    frame = frame[~(gappy & (frame["month"] == pd.Period("2023-01", freq="M")))]
    assert coordinator_evidence(frame, **COLUMNS).stage == "segmented"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.drop(columns="members"), TableError, "lacks `members`"),
        (lambda f: pd.concat([f, f.head(3)]), TableError, "3 rows repeat"),
        (lambda f: f.assign(members=np.nan), TableError, "192 of 192 rows"),
        (lambda f: f[f["county"] != "c0"], EstimationError, "no rows of the place"),
        (lambda f: f[f["month"] < pd.Period("2023-10", freq="M")], EstimationError, "0 after"),
    ],
)
def test_series_that_are_none_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        coordinator_evidence(change(series(np.random.default_rng(5))), **COLUMNS)


def test_case_finding_counts_persons_once():
    screening = pd.DataFrame(
        [
            ("p1", "2023-10-01", 25),
            ("p1", "2023-11-01", 30),
            ("p2", "2023-10-01", 3),
            ("p2", "2023-12-01", 20),
            ("p3", "2023-10-01", 22),
            ("p4", "2023-10-01", 40),
            ("p5", "2023-10-01", 2),
            ("p6", "2023-10-01", None),
        ],
        columns=["person_id", "screening_date", "value"],
    )
    referral = pd.DataFrame(
        [
            ("p1", "2023-10-20", "2023-11-05"),
            ("p1", "2023-10-21", None),
            ("p2", "2023-11-01", "2023-11-20"),  # before the screening that met the rule
            ("p3", "2023-12-30", None),  # on day 90
            ("p4", "2023-12-31", "2024-01-05"),  # on day 91
            ("p5", "2023-10-02", "2023-10-03"),  # the rule was not met
        ],
        columns=["person_id", "referred_date", "service_started_date"],
    )
    found = case_finding_yield(screening, referral, threshold=20)
    assert found.numerator.tolist() == [4, 2, 1]
    assert found.denominator.tolist() == [5, 5, 5]
    assert any("left out" in note for note in found.notes)


def test_case_finding_counts_those_only_whose_days_to_a_referral_are_over():
    screening = pd.DataFrame(
        [
            ("p1", "2024-01-31", 25),  # 60 days before: day 60 is the last one
            ("p2", "2024-02-01", 25),  # 59 days before
            ("p3", "2023-12-01", 25),  # screened again too late; the first one counts
            ("p3", "2024-03-20", 25),
            ("p4", "2023-12-01", 3),  # met the rule too late
            ("p4", "2024-03-20", 25),
        ],
        columns=["person_id", "screening_date", "value"],
    )
    referral = pd.DataFrame(
        [
            ("p1", "2024-03-31", "2024-03-31"),
            ("p2", "2024-02-02", "2024-02-03"),
            ("p3", "2024-01-05", "2024-04-01"),  # began after the records end
            ("p4", "2024-03-21", "2024-03-22"),
        ],
        columns=["person_id", "referred_date", "service_started_date"],
    )
    given = {"threshold": 20, "days": 60}
    assert case_finding_yield(screening, referral, **given).numerator.tolist() == [4, 4, 4]
    found = case_finding_yield(screening, referral, as_of="2024-03-31", **given)
    assert found.numerator.tolist() == [2, 2, 1]
    assert found.denominator.tolist() == [3, 3, 3]
    assert found.method.options["as_of"] == "2024-03-31"
    assert any("less than 60 days before 2024-03-31" in note for note in found.notes)
    with pytest.raises(EstimationError, match="60 days or more before `as_of`"):
        case_finding_yield(screening, referral, as_of="2023-12-31", **given)


def case_finding(n=30):
    screening = pd.DataFrame({"person_id": range(n), "screening_date": "2023-10-05", "value": 25})
    referral = screening[["person_id"]].assign(
        referred_date="2023-10-05", service_started_date=None
    )
    return screening, referral


def test_a_referral_on_the_day_of_screening_counts_whatever_the_hour():
    screening, referral = case_finding()
    afternoon = screening.assign(screening_date="2023-10-05 15:00")
    assert case_finding_yield(afternoon, referral, threshold=20).numerator.tolist() == [30, 30, 0]
    zoned = screening.assign(screening_date=pd.Timestamp("2023-10-05", tz="US/Pacific"))
    assert case_finding_yield(zoned, referral, threshold=20).numerator.tolist() == [30, 30, 0]
    text = referral.astype({"person_id": str})
    assert case_finding_yield(screening, text, threshold=20).numerator.tolist() == [30, 30, 0]


@pytest.mark.parametrize("column", ["referred_date", "service_started_date"])
def test_a_day_that_cannot_be_read_is_not_a_missing_one(column):
    screening, referral = case_finding()
    with pytest.raises(TableError, match=f"`{column}`: 30 of 30 values cannot be read"):
        case_finding_yield(screening, referral.assign(**{column: "last week"}), threshold=20)


@pytest.mark.parametrize(
    "written",
    ["05.01.2024", "05/01/2024", "5 Jan 2024", "20240105", "2024-01-05x", 20240105, 45296.0],
)
def test_days_that_could_be_read_two_ways_are_refused(written):
    screening, referral = case_finding()
    days = pd.Series("2023-10-05", index=screening.index, dtype=object)
    days.iloc[:2] = written
    for column in (days, pd.Series([written] * 30)):
        n = int((column == written).sum())
        with pytest.raises(TableError) as caught:
            case_finding_yield(screening.assign(screening_date=column), referral, threshold=20)
        assert f"table `screening`, column `screening_date`: {n} of 30 values" in str(caught.value)
        assert "year-month-day" in str(caught.value)
        assert str(written) not in str(caught.value)


@pytest.mark.parametrize(
    "days",
    [
        ["2023-10-05", "2023-10-06 15:00", "2023-10-07T23:30:00-07:00", None],
        [dt.date(2023, 10, 5), dt.datetime(2023, 10, 6, 15), pd.Timestamp("2023-10-07"), None],
        pd.to_datetime(["2023-10-05 15:00", "2023-10-06 00:00", "2023-10-07 23:30", None]),
        pd.Series(["2023-10-05", "2023-10-06", "2023-10-07", None], dtype="date32[pyarrow]"),
        pd.Series(["2023-10-05", "2023-10-06", "2023-10-07", None], dtype="category"),
    ],
)
def test_days_are_dates_or_text_of_year_month_and_day(days):
    frame = pd.DataFrame({"person_id": range(4), "screening_date": days})
    read = person_columns(frame, "screening", ("person_id", "screening_date"))["screening_date"]
    assert read.dt.strftime("%Y-%m-%d").tolist()[:3] == ["2023-10-05", "2023-10-06", "2023-10-07"]
    assert (read.dropna() == read.dropna().dt.normalize()).all()
    assert read.isna().tolist() == [False, False, False, True]


def test_few_screenings_left_out_are_not_told_by_their_number():
    """Of 12 screenings a tenth would be one."""
    screening, referral = case_finding(12)
    screening["value"] = screening["value"].astype(float).mask(screening.index == 3)
    notes = " ".join(case_finding_yield(screening, referral, threshold=20).notes)
    assert "rests on fewer than 11" in notes
    assert "10 %" not in notes


def test_places_may_be_numbers():
    frame = series(np.random.default_rng(6))
    named = coordinator_evidence(frame, **COLUMNS)
    numbers = frame.assign(county=frame["county"].str[1:].astype(int))
    found = coordinator_evidence(numbers, **{**COLUMNS, "place": 0})
    assert found.stage == "controlled"
    assert found.placebo_p_value == named.placebo_p_value


def test_large_figures_are_written_out(published):
    large = published.assign(value=published["value"].replace({"220": "1234567"}))
    assert "1,234,567 on 2023-10-01" in compare_points(large, "KT1", "KT2").says[0]


def test_nobody_screened_is_refused():
    empty = pd.DataFrame({"person_id": ["p"], "screening_date": [None], "value": [1]})
    referral = pd.DataFrame(columns=["person_id", "referred_date", "service_started_date"])
    with pytest.raises(EstimationError, match="nobody was screened"):
        case_finding_yield(empty, referral, threshold=20)
    with pytest.raises(TableError, match="value"):
        case_finding_yield(empty.drop(columns="value"), referral, threshold=20)


def test_the_timeline_marks_what_is_not_confirmed(published, tmp_path):
    plot, words = timeline_plot(published, first="2023-09-01", last="2024-07-01")
    plot.save(tmp_path / "timeline.png", verbose=False)
    assert (tmp_path / "timeline.png").stat().st_size > 1000
    assert "220 referrals for services (?)" in words
    assert words.index("Coordinator begins") < words.index("433 referrals")
    with pytest.raises(EstimationError, match="no event and no figure"):
        timeline_plot(published, first="1990-01-01", last="1990-02-01")
