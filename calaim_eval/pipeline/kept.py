"""Results of a study between commands, with what they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from calaim_eval.engine import write_json
from calaim_eval.errors import TableError
from calaim_eval.pipeline.race_display import say_display
from calaim_eval.results import Result, load_results, save_results
from calaim_eval.study import Study

COMMANDS = {"use": "estimate", "effects": "estimate", "quality": "check"}
_OPTIONAL = {
    "quality": ("data_quality", "data quality was not checked with these files"),
    "restatement": ("restatement", "the panel of these files was not compared with an earlier one"),
}
"""Parts a release can do without: their item, and why it is not there."""


def keep(
    study: Study, name: str, results: Mapping[str, Result], left_out: Mapping[str, str]
) -> None:
    """Keep results in restricted/results, with the reasons for those that are not there."""
    folder = study.restricted / "results"
    save_results(say_display(study, results), folder / name)
    write_json({**made_from(study), "left_out": dict(left_out)}, folder / f"{name}.about.json")


def kept(study: Study, quarter: str) -> tuple[dict[str, Result], dict[str, str]]:
    """Every result of the quarter, and the reasons for those that are not there.

    Raises
    ------
    TableError
        If a part was never made, or was made with another study file or other inputs.
    """
    results: dict[str, Result] = {}
    left_out: dict[str, str] = {}
    for name in ("effects", "use", f"integration-{quarter}", *_OPTIONAL):
        path = study.restricted / "results" / f"{name}.about.json"
        if name in _OPTIONAL and not _is_current(study, path):
            item, reason = _OPTIONAL[name]
            left_out[item] = reason
            continue
        if not path.exists():
            raise TableError(f"the results `{name}` are not there. {_how_to_make(name, quarter)}")
        about = json.loads(path.read_text(encoding="utf-8"))
        left_out |= about.pop("left_out")
        changed = [what for what, value in made_from(study).items() if about.get(what) != value]
        if changed:
            raise TableError(
                f"the results `{name}` were made before the {' and the '.join(changed)} changed. "
                f"{_how_to_make(name, quarter)}"
            )
        results |= load_results(study.restricted / "results" / name)
    return results, left_out


def _is_current(study: Study, about: Path) -> bool:
    """Whether results are there and of this study file and these inputs."""
    if not about.exists():
        return False
    held = json.loads(about.read_text(encoding="utf-8"))
    return all(held.get(what) == value for what, value in made_from(study).items())


def made_from(study: Study) -> dict[str, str]:
    """Hashes of what results are made from."""
    manifest = study.restricted / "tables" / "manifest.json"
    return {"study file": study.sha256, "input files": _sha256(manifest)}


def _how_to_make(name: str, quarter: str) -> str:
    command = COMMANDS.get(name, f"integration --quarter {quarter}")
    return (
        f"Make them with `calaim-eval {command}`, or everything with `calaim-eval run --quarter "
        f"{quarter}`; nothing was released."
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
