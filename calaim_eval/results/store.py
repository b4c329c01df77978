"""Keep results between commands, inside the restricted folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import OutputError
from calaim_eval.results.bounds_table import BoundsTable
from calaim_eval.results.effect_table import EffectTable
from calaim_eval.results.estimand import Estimand, Method
from calaim_eval.results.rate_table import RateTable

Result = EffectTable | RateTable | BoundsTable

_RATE_ARRAYS = ("numerator", "denominator", "conf_low", "conf_high", "n_members")


def save_results(results: Mapping[str, Result], folder: str | Path) -> Path:
    """Write every result to `folder`, replacing what was there only when all are written.

    Parameters
    ----------
    results : Mapping[str, EffectTable | RateTable | BoundsTable]
    folder : path
        Inside the restricted area: unsuppressed numbers.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name, result in results.items():
            _write_one(result, staging / name)
        if folder.exists():
            shutil.rmtree(folder)
        staging.replace(folder)
    except OSError as error:
        raise OutputError(
            f"Cannot write results to {folder} ({error.strerror}). Check the path, free space and "
            "permissions; earlier results are untouched."
        ) from error
    return folder


def load_results(folder: str | Path) -> dict[str, Result]:
    """Read every result that `save_results` wrote to `folder`; empty if there is none."""
    folder = Path(folder)
    return {path.name: _read_one(path) for path in sorted(folder.glob("*")) if path.is_dir()}


def _write_one(result: Result, folder: Path) -> None:
    """One result in a folder of its own: keys, arrays, support, and what they mean."""
    folder.mkdir()
    result.keys.to_parquet(folder / "keys.parquet")
    method = result.method
    common = {
        "method": {
            "estimator": method.estimator,
            "options": dict(method.options),
            "reference": method.reference,
        }
    }
    if isinstance(result, RateTable):
        about = _write_rates(result, folder)
    else:
        result.support.to_parquet(folder / "support.parquet")
        if isinstance(result, EffectTable):
            about = _write_effects(result, folder)
        else:
            about = _write_bounds(result, folder)
        about |= {"estimand": asdict(result.estimand), "notes": result.notes}
    text = json.dumps({**about, **common}, indent=1, default=str)
    (folder / "about.json").write_text(text, encoding="utf-8")


def _write_effects(result: EffectTable, folder: Path) -> dict[str, Any]:
    """Estimates with their joint covariance, and the influence of clusters where kept."""
    arrays: dict[str, Any] = {"estimate": result.estimate, "covariance": result.covariance}
    if result.degrees is not None:
        arrays["degrees"] = result.degrees
    np.savez_compressed(folder / "arrays.npz", **arrays)
    if result.cluster_influence is not None:
        result.cluster_influence.rename(columns=str).to_parquet(folder / "influence.parquet")
    return {"kind": "effect"}


def _write_bounds(result: BoundsTable, folder: Path) -> dict[str, Any]:
    """Sets and intervals."""
    arrays = {name: getattr(result, name) for name in result.arrays}
    np.savez_compressed(folder / "arrays.npz", **arrays)
    return {
        "kind": "bounds",
        "conf_level": result.conf_level,
        "bound_words": result.bound_words,
        "rests_on": result.rests_on,
    }


def _write_rates(result: RateTable, folder: Path) -> dict[str, Any]:
    """Counts and their intervals."""
    np.savez_compressed(
        folder / "arrays.npz",
        per=result.per,
        **{name: getattr(result, name) for name in _RATE_ARRAYS},
    )
    return {
        "kind": "rate",
        "fields": {
            name: getattr(result, name)
            for name in (
                "measure",
                "numerator_name",
                "denominator_name",
                "unit",
                "kind",
                "about",
                "margins",
                "overlaps",
                "denominator_keys",
                "notes",
            )
        },
    }


def _read_one(folder: Path) -> Result:
    """One result as it was written."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    keys = pd.read_parquet(folder / "keys.parquet")
    method = Method(**about["method"])
    with np.load(folder / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    if about["kind"] == "rate":
        fields = about["fields"]
        fields.setdefault("overlaps", ())
        for name in ("margins", "overlaps", "notes", "denominator_keys"):
            fields[name] = None if fields[name] is None else tuple(fields[name])
        arrays["per"] = arrays["per"] if arrays["per"].ndim else float(arrays["per"])
        return RateTable(keys=keys, method=method, **arrays, **fields)
    shared: dict[str, Any] = {
        "keys": keys,
        "support": pd.read_parquet(folder / "support.parquet"),
        "estimand": Estimand(**about["estimand"]),
        "method": method,
        "notes": tuple(about["notes"]),
        **arrays,
    }
    if about["kind"] == "bounds":
        rests_on = None if about["rests_on"] is None else tuple(about["rests_on"])
        words = {name: about[name] for name in ("conf_level", "bound_words")}
        return BoundsTable(**shared, **words, rests_on=rests_on)
    influence_path = folder / "influence.parquet"
    influence = pd.read_parquet(influence_path) if influence_path.exists() else None
    return EffectTable(**shared, cluster_influence=influence)
