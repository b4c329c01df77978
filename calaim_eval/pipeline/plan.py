"""What building a study's panel will take, before it is begun."""

from __future__ import annotations

from pathlib import Path

from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.plan import PanelPlan, plan_panel
from calaim_eval.study import Study
from calaim_eval.tables.database import is_database


def plan_study(study: Study) -> PanelPlan:
    """Plan of the study's panel.

    Raises
    ------
    TableError
        There are no raw files to estimate from.
    """
    place = study.input_place
    raw = None if not isinstance(place, Path) and is_database(place) else Path(str(place))
    return plan_panel(
        raw,
        tables_folder=study.restricted / "tables",
        panel_folder=study.restricted / "panel",
        n_months=len(study.file.months),
        n_measures=len(MEASURES) + len(EXPOSURES),
        memory_limit_gb=study.file.computing.memory_limit_gb,
        engine=study.file.computing.engine,
    )
