from __future__ import annotations

from types import SimpleNamespace

import pytest

from calaim_eval.pipeline import (
    build_panel,
    estimate_quarterless,
    measure_quarter,
    read_study_tables,
    release_quarter,
)
from calaim_eval.simulate import simulate_medi_cal
from calaim_eval.study import init_study, read_study

QUARTER = "2024Q4"


def just_do(description, work):
    assert description
    return work()


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A simulated study taken from raw files to its release."""
    folder = tmp_path_factory.mktemp("small_study")
    simulated = simulate_medi_cal(folder, members=5_000, seed=11)
    study = read_study(init_study(folder))
    tables = read_study_tables(study)
    panel = build_panel(study, tables)
    names = estimate_quarterless(study, panel, step=just_do, tables=tables)
    names += measure_quarter(study, tables, QUARTER)
    return SimpleNamespace(
        study=study,
        simulated=simulated,
        tables=tables,
        panel=panel,
        names=names,
        released=release_quarter(study, QUARTER),
    )
