"""Two-way clustering: arithmetic by hand, mended eigenvalues, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, group_time_att, multiway_clustered
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable, Estimand, Method


def table_of(psi: np.ndarray, cluster: str, estimate: list[float] | None = None) -> EffectTable:
    k = psi.shape[1]
    support = dict.fromkeys(("n_members", "n_events", "member_months"), [100] * k)
    return EffectTable(
        keys=pd.DataFrame({"row": range(k)}),
        estimate=np.array(estimate or [1.0] * k),
        covariance=psi.T @ psi,
        support=pd.DataFrame(support),
        estimand=Estimand("ATT", "a minus b", "visits"),
        method=Method("by hand", {"cluster": cluster}),
        cluster_influence=pd.DataFrame(psi),
        notes=(f"Standard errors are clustered by {cluster}: few.", "Sample lost: none."),
    )


# Influence of four cells: county a or b by plan north or south.
CELLS = np.array([[1.0, 2.0], [2.0, -1.0], [-1.0, 0.5], [-2.0, -1.5]])
COUNTY = CELLS[[0, 2]] + CELLS[[1, 3]]
PLAN = CELLS[[0, 1]] + CELLS[[2, 3]]


def test_sum_less_intersection_by_hand() -> None:
    cells = CELLS[:, :1]
    found = multiway_clustered(
        table_of(COUNTY[:, :1], "county"),
        table_of(PLAN[:, :1], "plan"),
        intersection=table_of(cells, "county_plan"),
    )
    # Counties 3, -3: 18. Plans 0, 0: 0. Cells 1 + 4 + 1 + 4 = 10.
    assert found.covariance[0, 0] == pytest.approx(18 + 0 - 10)
    assert found.cluster_influence is None
    assert found.method.options["cluster"] == "county and plan"
    assert found.notes == (
        "Sample lost: none.",
        "Standard errors are clustered by county and plan, two ways.",
    )


def test_negative_eigenvalues_are_set_to_zero_and_noted() -> None:
    # The second effect cancels within counties and within plans, but not within cells.
    cells = np.column_stack([CELLS[:, 0], [1.0, -1.0, -1.0, 1.0]])
    county, plan = cells[[0, 2]] + cells[[1, 3]], cells[[0, 1]] + cells[[2, 3]]
    raw = county.T @ county + plan.T @ plan - cells.T @ cells
    values, vectors = np.linalg.eigh(raw)
    assert values.min() < 0 < values.max()
    found = multiway_clustered(
        table_of(county, "county"), table_of(plan, "plan"), intersection=table_of(cells, "both")
    )
    expected = values.max() * np.outer(vectors[:, 1], vectors[:, 1])
    assert found.covariance == pytest.approx(expected)
    assert any("negative eigenvalue" in note for note in found.notes)


def test_refuses_what_it_cannot_combine() -> None:
    county, plan, both = table_of(COUNTY, "county"), table_of(PLAN, "plan"), table_of(CELLS, "both")
    with pytest.raises(EstimationError, match="`intersection` is missing"):
        multiway_clustered(county, plan)
    with pytest.raises(EstimationError, match="both tables are clustered by county"):
        multiway_clustered(county, county, intersection=both)
    with pytest.raises(EstimationError, match="differ in rows or estimates"):
        multiway_clustered(county, table_of(PLAN, "plan", [1.0, 2.0]), intersection=both)
    with pytest.raises(EstimationError, match="intersection has 2 clusters, and both has 4"):
        multiway_clustered(both, plan, intersection=county)


def test_joint_over_effects_and_base_month_without_error() -> None:
    frame = county_panel(5)
    frame["both"] = frame["county"] + frame["plan"]
    tables = []
    for cluster in ("county", "plan", "both"):
        moments = reduce_panel(frame, outcomes=["visits"], cluster=cluster, unbalanced="cell_means")
        effects = group_time_att(
            moments, outcome="visits", base_period="universal", cluster=cluster
        )
        tables.append(aggregate(effects, by="event_time"))
    found = multiway_clustered(tables[0], tables[1], intersection=tables[2])
    is_base = (found.keys["event_time"] == -1).to_numpy()
    assert np.isnan(found.std_error[is_base]).all()
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12
