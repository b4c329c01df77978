"""Sums that run from one table to another: what a reader adds up must not give a count away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import rate_table

from calaim_eval.disclosure import Released, release
from calaim_eval.disclosure.attacker import audit
from calaim_eval.disclosure.count_table import count_tables
from calaim_eval.disclosure.linked_tables import link_tables
from calaim_eval.disclosure.policy import load_policy

KERN_YOLO = [(r, c) for r in ("white", "black") for c in ("Kern", "Yolo")]


def table(columns, rows, numbers, **options):
    return rate_table(pd.DataFrame(rows, columns=columns), numbers, **options)


def hidden(released, name):
    return released.tables[name].frame["is_suppressed"].tolist()


def by_race_and_county():
    return table(["race_ethnicity", "county"], KERN_YOLO, [4, 100, 120, 180])


def test_a_table_without_totals_is_tied_to_the_totals_of_another():
    totals = table(["race_ethnicity"], ["white", "black"], [104, 300])
    released = release({"totals": totals, "cells": by_race_and_county()})
    # 104 - 100 = 4: the neighbour goes, or the total.
    assert hidden(released, "cells")[1] or hidden(released, "totals")[0]


def test_a_grand_total_elsewhere_is_the_sum_over_two_columns():
    total = rate_table(pd.DataFrame({"county": ["all"]}), [404])
    released = release({"total": total, "cells": by_race_and_county()})
    assert sum(hidden(released, "cells")) > 1 or hidden(released, "total")[0]


def test_one_count_under_two_keys_is_hidden_in_both():
    """Alpine lies in the mountains, so the county's count is the county's in its region."""
    counties = ["Kern", "Yolo", "Alpine", "Inyo", "all"]
    alone = table(["county"], counties, [100, 200, 4, 90, 394], margins=("county",))
    regions = [("valley", "Kern"), ("valley", "Yolo"), ("mountains", "Alpine")]
    both = table(["region", "county"], [*regions, ("mountains", "Inyo")], [100, 200, 4, 90])
    released = release({"alone": alone, "both": both})
    shown = dict(zip(counties, np.logical_not(hidden(released, "alone")), strict=True))
    beside = dict(zip(counties, np.logical_not(hidden(released, "both")), strict=False))
    seen = {county for county in counties if shown[county] or beside.get(county)}
    assert "Alpine" not in seen
    assert len(seen) < 4  # another county, or the total, is hidden in both


def test_quarters_add_up_to_their_year():
    quarters = [f"2024Q{i}" for i in (1, 2, 3, 4)]
    tables = {
        "year": table(["year"], ["2024"], [400], names=("visits", "none")),
        "quarters": table(["quarter"], quarters, [100, 196, 4, 100], names=("visits", "none")),
    }
    released = release(tables)
    assert sum(hidden(released, "quarters")) > 1 or hidden(released, "year")[0]


def test_detailed_groups_add_up_to_broad_ones_where_a_table_says_which_is_which():
    asian = ["chinese", "hmong", "lao"]
    tables = {
        "broad": table(["race_ethnicity"], ["asian", "white"], [150, 300]),
        "detailed": table(["detail"], [*asian, "white"], [100, 4, 46, 300]),
        "key": table(
            ["race_ethnicity", "detail"],
            [*(("asian", d) for d in asian), ("white", "white")],
            [70, 40, 40, 200],
            names=("members_asked", "none"),
        ),
    }
    released = release(tables)
    assert sum(hidden(released, "detailed")) > 1 or hidden(released, "broad")[0]


def test_two_tables_by_different_groups_have_one_total_though_none_states_it():
    tables = {
        "races": table(["race_ethnicity"], ["asian", "white"], [150, 300]),
        "ages": table(["age_group"], ["0-17", "18-44", "45-64", "65+"], [100, 4, 46, 300]),
    }
    released = release(tables)
    assert sum(hidden(released, "ages")) > 1 or any(hidden(released, "races"))


def test_a_group_left_out_is_what_the_total_leaves_over():
    rows = ["white", "black", "all"]
    released = release({"t": table(["race_ethnicity"], rows, [300, 80, 384])})
    assert any(hidden(released, "t"))
    exact = release({"t": table(["race_ethnicity"], rows, [300, 80, 380])})
    assert not any(hidden(exact, "t"))


def test_overlapping_groups_are_no_sum():
    rows = ["homeless", "justice", "all"]
    released = release({"t": table(["population"], rows, [300, 200, 384])})
    assert not any(hidden(released, "t"))


def test_one_count_under_two_names_is_hidden_in_both():
    counts, rows = [200, 100, 4, 90, 394], ["white", "black", "nhpi", "other", "all"]
    keys = pd.DataFrame({"race_ethnicity": rows})
    tables = {
        "a": rate_table(keys, counts, margins=("race_ethnicity",), names=("served", "none")),
        # Without a total of its own, so only the other name's gives the count away.
        "b": rate_table(keys[:4], counts[:4], names=("received_a_service", "none")),
    }
    released = release(tables)
    seen = np.logical_not(hidden(released, "a"))[:4] | np.logical_not(hidden(released, "b"))
    assert (~seen).sum() >= 2


def test_what_was_hidden_before_does_not_follow_from_sums_of_a_later_table(tmp_path):
    counties = ["Kern", "Yolo", "Alpine", "Inyo", "all"]
    first = table(["county"], counties, [100, 200, 4, 90, 394], margins=("county",))
    before = release({"counties": first}, to=tmp_path, quarter="2024Q4")
    other = next(
        c for c, h in zip(counties, hidden(before, "counties"), strict=True) if h and c != "Alpine"
    )
    n = dict(zip(counties, [100, 200, 4, 90, 394], strict=True))[other]
    halves = table(["county", "sex"], [(other, "f"), (other, "m")], [n / 2, n / 2])
    second = release({"halves": halves}, to=tmp_path, quarter="2024Q4")
    assert any(hidden(second, "halves"))


def test_a_total_released_later_does_not_open_a_cell_hidden_before(tmp_path):
    release({"cells": by_race_and_county()}, to=tmp_path, quarter="2024Q4")
    totals = table(["race_ethnicity"], ["white", "black"], [104, 300])
    second = release({"totals": totals}, to=tmp_path, quarter="2024Q4")
    assert hidden(second, "totals") == [True, False]


def test_the_attacker_knows_the_sums_between_tables(tmp_path):
    """From the released files alone, 104 - 100 is found."""
    totals = table(["race_ethnicity"], ["white", "black"], [104, 300])
    counts = link_tables(count_tables({"totals": totals, "cells": by_race_and_county()}))
    counts[1].numerator[0] = np.nan
    found = audit(counts, policy=load_policy("calhhs_ddg_2"))
    assert found.cells[["lowest", "highest"]].to_numpy().tolist() == [[4, 4]]


def test_what_sums_do_not_hold_is_kept_with_the_release(tmp_path):
    rows = ["homeless", "justice", "all"]
    released = release(
        {"t": table(["population"], rows, [300, 200, 384])}, to=tmp_path, quarter="2024Q4"
    )
    kept = released.tables["t"].meta["unequal_sums"]
    assert [(tuple(over), how) for over, _, how in kept] == [(("population",), "none")]
    again = Released.load(tmp_path / "2024Q4").tables["t"].meta["unequal_sums"]
    assert len(again) == 1


@pytest.mark.parametrize("label", ["2024-03", "2024-03-01", "202403"])
def test_months_lie_in_quarters_however_they_are_written(label):
    months = [label.replace("03", f"{m:02d}", 1) for m in (1, 2, 3)]
    tables = {
        "quarter": table(["quarter"], ["2024Q1"], [204], names=("visits", "none")),
        "months": table(["month"], months, [100, 100, 4], names=("visits", "none")),
    }
    released = release(tables)
    assert sum(hidden(released, "months")) > 1 or hidden(released, "quarter")[0]


def quarters_shown(*numbers):
    quarters = [f"2024Q{i + 1}" for i in range(len(numbers))]
    return table(["quarter"], quarters, list(numbers), names=("visits", "none"))


def test_a_year_does_not_tell_a_quarter_that_is_left_when_the_others_were_released(tmp_path):
    release({"visits": quarters_shown(100, 196, 100)}, to=tmp_path, quarter="2024Q3")
    year = table(["year"], ["2024"], [400], names=("visits", "none"))
    later = {"year": year, "visits": quarters_shown(100, 196, 100, 4)}
    both = release(later, to=tmp_path / "both", quarter="2024Q4", ledger=tmp_path / "ledger.jsonl")
    assert hidden(both, "year") == [True]
    # Nor where the fourth quarter is in no table of the later release.
    release({"visits": quarters_shown(100, 196, 100)}, to=tmp_path / "b", quarter="2024Q3")
    alone = release({"year": year}, to=tmp_path / "b", quarter="2024Q4")
    assert hidden(alone, "year") == [True]


def test_a_quarter_restated_since_does_not_stop_the_next_release(tmp_path):
    release({"visits": quarters_shown(100, 196)}, to=tmp_path, quarter="2024Q2")
    release({"visits": quarters_shown(130, 196, 150)}, to=tmp_path, quarter="2024Q3")
    year = table(["year"], ["2024"], [630], names=("visits", "none"))
    last = release({"year": year}, to=tmp_path, quarter="2024Q4")
    assert hidden(last, "year") == [False]  # 630 - 130 - 196 - 150 = 154
