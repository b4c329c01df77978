"""A gap released before its rates, and other ways to take the difference of two releases."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table

from calaim_eval.disclosure import release
from calaim_eval.errors import DisclosureError
from calaim_eval.results import ALL, Estimand, Method

GROUPS = ["white", "black", "asian", "nhpi"]
INPUTS = {"input_manifest_sha256": "a", "study_file_sha256": "b"}


def rates(counts, people=(4000, 2000, 1000, 600)):
    keys = pd.DataFrame({"race_ethnicity": [*GROUPS, ALL]})
    return rate_table(
        keys, [*counts, sum(counts)], [*people, sum(people)], kind="proportion",
        names=("members_served", "members"), margins=("race_ethnicity",),
    )  # fmt: skip


def gaps(n_members=(300, 200, 200), names=("members_served",)):
    from dataclasses import replace

    keys = pd.DataFrame({"race_ethnicity": GROUPS[1:], "reference": "white"})
    table = effect_table(keys, list(n_members))
    return replace(
        table,
        estimand=Estimand("gap", "group minus white", "share", is_causal=False),
        method=Method("rate gap", {"rates_of": names}),
    )


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_rates_hidden_after_their_gap_is_out_are_refused(tmp_path):
    release({"gap": gaps()}, to=tmp_path, quarter="2024Q4")
    before = files(tmp_path)
    with pytest.raises(DisclosureError, match=r"(?s)`gap`.*`--leave-out rates`"):
        release({"rates": rates([900, 300, 200, 5])}, to=tmp_path, quarter="2024Q4")
    assert files(tmp_path) == before


def test_rates_that_need_no_hiding_are_released_after_their_gap(tmp_path):
    release({"gap": gaps()}, to=tmp_path, quarter="2024Q4")
    made = release({"rates": rates([900, 300, 200, 50])}, to=tmp_path, quarter="2024Q4")
    assert not made.tables["rates"].n_suppressed


def test_a_gap_of_other_rates_or_of_another_quarter_stops_nothing(tmp_path):
    release({"gap": gaps(names=("ed_visits",))}, to=tmp_path, quarter="2024Q4")
    release({"gap": gaps()}, to=tmp_path, quarter="2024Q3")
    made = release({"rates": rates([900, 300, 200, 5])}, to=tmp_path, quarter="2024Q4")
    assert made.tables["rates"].n_suppressed >= 2


def test_the_same_inputs_are_the_same_numbers_in_another_quarter(tmp_path):
    release({"gap": gaps()}, to=tmp_path, quarter="2024Q3", provenance=INPUTS)
    with pytest.raises(DisclosureError, match=r"shows \d comparisons"):
        release(
            {"rates": rates([900, 300, 200, 5])}, to=tmp_path, quarter="2024Q4", provenance=INPUTS
        )


def test_released_together_again_and_again_they_hide_the_same(tmp_path):
    both = {"gap": gaps((300, 200, 5)), "rates": rates([900, 300, 200, 5])}
    first = release(both, to=tmp_path, quarter="2024Q4")
    second = release(both, to=tmp_path, quarter="2024Q4")
    for name in both:
        assert (
            first.tables[name].frame["is_suppressed"].tolist()
            == second.tables[name].frame["is_suppressed"].tolist()
        )


def test_the_ledger_holds_no_estimate(tmp_path):
    release({"gap": gaps()}, to=tmp_path, quarter="2024Q4")
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())["entry"]["tables"]["gap"]
    assert entry["shown_keys"] == [[g, "white"] for g in GROUPS[1:]]
    assert set(entry) == {"kind", "keys", "hidden", "shown_keys", "compares", "is_causal"}


def differences(one, other):
    """What a reader learns by subtracting every number of one release from the other's."""
    both = one.merge(other, on="race_ethnicity", suffixes=("", "_later"))
    change = (both["numerator_later"] - both["numerator"]).abs()
    return change[change.notna() & (change > 0)].tolist()


@pytest.mark.parametrize("seed", range(12))
def test_a_quarter_released_and_restated_cannot_be_differenced(seed, tmp_path):
    """Counts that come or go by 1 to 10 between the two are in no difference of what is shown."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(12, 600, 4)
    later = np.maximum(counts + rng.integers(-14, 15, 4), 11)
    tables = []
    for quarter, now in (("2024Q3", counts), ("2024Q3", later), ("2024Q4", later)):
        table = rate_table(
            pd.DataFrame({"race_ethnicity": [*GROUPS, ALL]}), [*now, now.sum()],
            margins=("race_ethnicity",),
        )  # fmt: skip
        try:
            made = release({"t": table}, to=tmp_path, quarter=quarter)
        except DisclosureError:
            continue
        tables.append(made.tables["t"].frame)
    for one in tables:
        for other in tables:
            assert not [change for change in differences(one, other) if change < 11]


def test_two_tables_that_overlap_cannot_be_differenced(tmp_path):
    """All counties, then all but one: the difference would be the county's few members."""
    keys = pd.DataFrame({"county": ["Kern", "Yolo", "Alpine", "all"]})
    wide = rate_table(keys, [300, 80, 4, 384], margins=("county",))
    first = release({"wide": wide}, to=tmp_path, quarter="2024Q4").tables["wide"].frame
    fewer = rate_table(
        pd.DataFrame({"county": ["Kern", "Yolo", "all"]}), [300, 80, 380], margins=("county",)
    )
    second = release({"fewer": fewer}, to=tmp_path, quarter="2024Q4").tables["fewer"].frame
    totals = [f.set_index("county").loc["all", "numerator"] for f in (first, second)]
    assert totals[0] == 384
    assert np.isnan(totals[1])
    # Nor are the parts shown that would add up to it.
    assert second["is_suppressed"].sum() >= 2


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"margins": ("race_ethnicity",), "total": 384}, id="a margin"),
        pytest.param({"count": -3}, id="a negative count"),
        pytest.param({"count": np.nan}, id="a missing count"),
        pytest.param({"policy": "calhhs"}, id="an unknown policy"),
        pytest.param({"policy": "nowhere.toml"}, id="a policy file that is not there"),
        pytest.param({"ledger": "cut"}, id="a ledger cut short"),
        pytest.param({"ledger": "edited"}, id="an edited ledger"),
        pytest.param({"ledger": "gone"}, id="no ledger"),
        pytest.param({"quarter": "2024-Q5"}, id="no quarter"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(wrong, tmp_path):
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "all"]})
    for quarter in ("2024Q2", "2024Q3"):
        good = rate_table(keys, [300, 80, 380], margins=("race_ethnicity",))
        release({"t": good}, to=tmp_path, quarter=quarter)
    ledger = tmp_path / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    if wrong.get("ledger") == "cut":
        ledger.write_text(lines[0])
    elif wrong.get("ledger") == "edited":
        ledger.write_text("".join(lines).replace("300.0", "301.0"))
    elif wrong.get("ledger") == "gone":
        ledger.unlink()
    before = files(tmp_path)
    counts = [wrong.get("count", 300), 80, wrong.get("total", 380)]
    table = rate_table(keys, counts, n_members=[300, 80, 380], margins=wrong.get("margins", ()))
    with pytest.raises(DisclosureError) as caught:
        release(
            {"t": table},
            policy=wrong.get("policy", "calhhs_ddg_2"),
            to=tmp_path,
            quarter=wrong.get("quarter", "2024Q4"),
        )
    assert files(tmp_path) == before
    assert "384" not in str(caught.value)
