"""One small file of moments: compressed arrays and a JSON header, no pickle."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import OutputError, TableError
from calaim_eval.moments.cell_index import plain_labels
from calaim_eval.moments.cell_moments import CellMoments, OutcomeMoments
from calaim_eval.moments.cluster_sums import ClusterSums
from calaim_eval.moments.different_members import PARTS, DifferentMembers
from calaim_eval.moments.periods import index_frequency, index_ordinals, month_index

FORMAT_VERSION = 1
_PARTS = ("total", "yy", "yr", "nonzero")


HOW_TO_WRITE = "`calaim-eval moments STUDY --out FILE` or moments.save(path) writes one."


def save_moments(moments: CellMoments, path: Path) -> Path:
    """Write moments to `path`; the folder must exist. Returns the path."""
    arrays: dict[str, np.ndarray] = {
        "months": index_ordinals(moments.months),
        "n_members": moments.n_members,
        "at_risk": moments.at_risk,
        "rr": moments.rr,
        "cells": _frame_bytes(moments.cells),
    }
    for position, outcome in enumerate(moments.by_outcome.values()):
        for part in _PARTS:
            arrays[f"outcome{position}_{part}"] = getattr(outcome, part)
    if moments.clusters is not None:
        arrays |= _cluster_arrays(moments.clusters, moments.outcomes)
    if moments.different is not None:
        arrays["different_at_risk"] = moments.different.at_risk
        for position, name in enumerate(moments.outcomes):
            arrays[f"different_events{position}"] = moments.different.events[name]
    header = json.dumps(_header(moments), default=str)
    arrays["header"] = np.frombuffer(header.encode(), dtype=np.uint8)
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise OutputError(f"moments can't be written to {path}: {error.strerror}.") from error
    return path


def load_moments(path: str | Path) -> CellMoments:
    """Read moments written by `CellMoments.save`.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    TableError
        The file is absent, or is not a file of moments of a version this package reads.
    """
    file = Path(path)
    if not file.is_file():
        raise TableError(f"there is no file of moments at {file}. {HOW_TO_WRITE}")
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays["header"].tobytes())
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise TableError(f"{file.name} is not a file of moments. {HOW_TO_WRITE}") from error
    if header.get("format_version") != FORMAT_VERSION:
        raise TableError(
            f"{file.name} has format version {header.get('format_version')}; this package reads "
            f"version {FORMAT_VERSION}. Reduce the panel again."
        )
    outcomes = {
        name: OutcomeMoments(
            shift=float(facts["shift"]),
            is_count=bool(facts["is_count"]),
            **{part: arrays[f"outcome{position}_{part}"] for part in _PARTS},
        )
        for position, (name, facts) in enumerate(header["outcomes"].items())
    }
    return CellMoments(
        cells=_frame(arrays["cells"]),
        months=month_index(arrays["months"], header["frequency"]),
        stratum=tuple(header["stratum"]),
        covariate_cells=tuple(header["covariate_cells"]),
        n_members=arrays["n_members"],
        at_risk=arrays["at_risk"],
        rr=arrays["rr"],
        by_outcome=outcomes,
        clusters=_clusters(arrays, header),
        provenance=header["provenance"],
        different=_different(arrays, header, file.name),
    )


def _header(moments: CellMoments) -> dict[str, Any]:
    """What the arrays mean."""
    return {
        "format_version": FORMAT_VERSION,
        "frequency": index_frequency(moments.months),
        "stratum": moments.stratum,
        "covariate_cells": moments.covariate_cells,
        "outcomes": {
            name: {"shift": m.shift, "is_count": m.is_count}
            for name, m in moments.by_outcome.items()
        },
        "cluster": None if moments.clusters is None else moments.clusters.name,
        "provenance": dict(moments.provenance),
    }


def _cluster_arrays(clusters: ClusterSums, outcomes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Cluster sums as named arrays."""
    return {
        "cluster_labels": _frame_bytes(clusters.labels.to_frame("cluster")),
        "cluster_cluster": clusters.cluster,
        "cluster_cell": clusters.cell,
        "cluster_n_members": clusters.n_members,
        "cluster_at_risk": clusters.at_risk,
        **{f"cluster_total{i}": clusters.totals[name] for i, name in enumerate(outcomes)},
    }


def _clusters(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> ClusterSums | None:
    """Inverse of `_cluster_arrays`."""
    if header["cluster"] is None:
        return None
    return ClusterSums(
        name=header["cluster"],
        labels=_frame(arrays["cluster_labels"])["cluster"],
        cluster=arrays["cluster_cluster"],
        cell=arrays["cluster_cell"],
        n_members=arrays["cluster_n_members"],
        at_risk=arrays["cluster_at_risk"],
        totals={name: arrays[f"cluster_total{i}"] for i, name in enumerate(header["outcomes"])},
    )


def _different(
    arrays: dict[str, np.ndarray], header: dict[str, Any], name: str
) -> DifferentMembers | None:
    """Different members of a matched design; refused where the file does not tell them."""
    if "different_at_risk" in arrays:
        events = {o: arrays[f"different_events{i}"] for i, o in enumerate(header["outcomes"])}
        return DifferentMembers(arrays["different_at_risk"], events)
    if PARTS in header["covariate_cells"] or header["cluster"] == "matched_group":
        raise TableError(
            f"{name} is of a matched design and does not say how many different members it holds, "
            "which disclosure control needs. Reduce the panel again."
        )
    return None


def _frame_bytes(frame: pd.DataFrame) -> np.ndarray:
    """A small frame as the bytes of a parquet file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)


def _frame(stored: np.ndarray) -> pd.DataFrame:
    """Inverse of `_frame_bytes`, with plain label types."""
    frame = pd.read_parquet(io.BytesIO(stored.tobytes()))
    return pd.DataFrame({column: plain_labels(frame[column]) for column in frame})
