"""Members and use by race and ethnicity and one more column, as a reader sees it."""

from types import SimpleNamespace

import pytest
from hand_panel import hand_panel

from calaim_eval.disclosure import release
from calaim_eval.pipeline.crossed_groups import measure_crossings
from calaim_eval.report import Absent, tables
from calaim_eval.report.tables import crossed
from calaim_eval.study.model import Equity

SIZES = {("black", 10): 40, ("black", 30): 60, ("white", 10): 90, ("white", 30): 5}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rows = [(race, age) for (race, age), n in SIZES.items() for _ in range(n)]
    lines = ["member | race | covered | ed | age", "-------+------+---------+----+----"]
    lines += [
        f"m{i} | {race} | 2022-01..2022-12 | 2022-02:{1 + i % 2} | {age}"
        for i, (race, age) in enumerate(rows)
    ]
    equity = Equity(reference="white", crossed_with=("age_band",), age_bands=(18,))
    study = SimpleNamespace(file=SimpleNamespace(equity=equity, exposure=None))
    results = measure_crossings(study, hand_panel("\n".join(lines)), ["ed_visits"])
    return release(results, quarter="2024Q4", to=tmp_path_factory.mktemp("crossed"))


def test_a_block_a_band_with_members_and_use(page):
    table = tables.crossed_table(page, "age_band")
    cells = table.gt._tbl_data
    assert list(dict.fromkeys(cells["Age band"])) == ["0-17", "18+"]
    shown = cells.set_index(["Age band", "Race and ethnicity"])
    assert shown.loc[("18+", "White"), "Members"] == "†"
    counts = {"0-17": {"40", "90", "130", "†"}, "18+": {"60", "65", "†"}}
    for (band, _), text in shown["Members"].items():
        assert text in counts[band]
    # One or two visits in turn in twelve months: 125 per 1,000 member-months.
    rates = shown.drop(columns="Members").iloc[:, 0]
    assert rates["0-17", "Black or African American"] in ("125", "†")
    assert "per 1,000 member-months" in table.caption
    assert tables.crossed_columns(page) == ["age_band"]


def test_of_many_values_the_largest_are_shown(page, monkeypatch):
    monkeypatch.setattr(crossed, "MOST_VALUES", 1)
    table = tables.crossed_table(page, "age_band")
    assert len(set(table.gt._tbl_data["Age band"])) == 1
    assert "1 smaller values" in table.gt.as_raw_html()


def test_columns_not_crossed_are_absent(page):
    assert isinstance(tables.crossed_table(page, "language"), Absent)
