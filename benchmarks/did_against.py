"""From member months to effects by cohort and month and an event study, against other packages.

    python benchmarks/did_against.py [member_months ...] [--shuffled] [--without NAME ...]

Six race groups; every package estimates ATT(g, t) with members as clusters in each group and the
event study, from the same parquet file, in a process of its own (memory is the largest of that
process). Peers take one group at a time; the package takes all jointly, with the covariance between
them. The floor is one DuckDB pass that reads the same columns and groups by cohort, month and
group. Without `--shuffled` the panel is balanced and sorted; with it 15 % of the rows are missing
and the rest are in random order. The last column is the largest difference of an effect at event
time 0 to 6 from the package's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from measured import measured

SELF = Path(__file__).resolve()
MONTHS = 48
GROUPS = ("white", "hispanic", "black", "asian", "aian", "nhpi")
STUDY = range(7)


def main() -> None:
    options = _options()
    if options.do:
        RUN[options.do](options.file, options.out)
        return
    print(
        "| member-months | by | wall s | CPU s | to the package | to the floor | peak GB | diff |"
    )
    print("|" + "---|" * 8)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "panel.parquet"
            _simulate(size, path, is_shuffled=options.shuffled)
            floor_s = _floor_s(path)
            ours = None
            for name in ("package", *(p for p in PEERS if p not in options.without)):
                out = Path(folder) / f"{name}.json"
                cost = measured(SELF, "--do", name, "--file", str(path), "--out", str(out))
                held = json.loads(out.read_text())
                ours = ours or held
                study, mine = (np.array(h["study"], dtype=float) for h in (held, ours))
                if (np.isnan(study) != np.isnan(mine)).any():
                    raise SystemExit(f"{name}: other groups or event times than the package")
                print(
                    f"| {size:,} | {name} | {held['wall_s']:.2f} | {held['cpu_s']:.2f} "
                    f"| {held['wall_s'] / ours['wall_s']:.1f} | {held['wall_s'] / floor_s:.1f} "
                    f"| {cost.peak_gb:.2f} | {np.nanmax(np.abs(study - mine)):.0e} |",
                    flush=True,
                )
            print(f"\nfloor {floor_s:.2f} s\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--without", nargs="*", default=[], choices=[*PEERS])
    parser.add_argument("--do", choices=RUN, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _simulate(size: int, path: Path, *, is_shuffled: bool) -> None:
    """A panel by DuckDB: three cohorts and half never exposed, 6 % of months with visits."""
    import duckdb

    gap = 15 if is_shuffled else 0
    members = round(size / MONTHS / (1 - gap / 100))
    order = "hash(member_id * 48 + month)" if is_shuffled else "member_id, month"
    names = ", ".join(f"'{name}'" for name in GROUPS)
    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"""CREATE TABLE members AS SELECT i AS member_id,
                CASE WHEN u < 0.15 THEN 12 WHEN u < 0.35 THEN 20 WHEN u < 0.5 THEN 28 END AS cohort,
                [{names}][1 + (i % 6)] AS race_ethnicity
                FROM (SELECT i, random() AS u FROM range({members}) AS t(i))"""
        )
        connection.execute(
            f"""COPY (SELECT member_id, month::INTEGER AS month, cohort, race_ethnicity,
                CASE WHEN random() < 0.06 THEN 1 + (random() < 0.2)::INTEGER ELSE 0 END AS ed_visits
                FROM members, range({MONTHS}) AS r(month)
                WHERE hash(member_id, month, 7) % 100 >= {gap} ORDER BY {order}
            ) TO '{path}' (FORMAT parquet)"""
        )


def _floor_s(path: Path) -> float:
    """Best of three passes over the file."""
    import duckdb

    best = np.inf
    for _ in range(3):
        started = time.perf_counter()
        with duckdb.connect() as connection:
            connection.execute(
                "SELECT cohort, month, race_ethnicity, sum(ed_visits), count(*), max(member_id) "
                "FROM read_parquet(?) GROUP BY ALL",
                [str(path)],
            ).fetchall()
        best = min(best, time.perf_counter() - started)
    return best


def _timed(estimate: Callable[[Path], list[list[float]]]) -> Callable[[Path, Path], None]:
    """Keep what it estimates and what it took; the reading of the file counts, imports do not."""

    def run(path: Path, out: Path) -> None:
        warnings.simplefilter("ignore")
        cpu, wall = time.process_time(), time.perf_counter()
        study = estimate(path)
        held = {
            "study": study,
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
        }
        out.write_text(json.dumps(held))

    return run


def _package(path: Path) -> list[list[float]]:
    from calaim_eval.estimate import aggregate, group_time_att
    from calaim_eval.moments import reduce_panel

    moments = reduce_panel(
        path, outcomes=["ed_visits"], stratum="race_ethnicity", unbalanced="cell_means"
    )
    att_gt = group_time_att(moments, outcome="ed_visits", comparison="never_exposed")
    study = aggregate(att_gt, by="event_time").to_frame()
    at = study.set_index(["race_ethnicity", "event_time"])["estimate"]
    return [[at.get((group, t), np.nan) for t in STUDY] for group in GROUPS]


def _by_group(path: Path, fit: Callable[[pd.DataFrame], pd.Series]) -> list[list[float]]:
    frame = pd.read_parquet(path)
    frame["cohort"] = frame["cohort"].fillna(0).astype("int64")
    found = []
    for group in GROUPS:
        mine = frame[frame["race_ethnicity"] == group].drop(columns="race_ethnicity")
        effects = fit(mine.reset_index(drop=True))
        found.append([float(effects.get(t, np.nan)) for t in STUDY])
    return found


def _diff_diff(path: Path) -> list[list[float]]:
    import diff_diff

    def fit(frame: pd.DataFrame) -> pd.Series:
        result = diff_diff.CallawaySantAnna(control_group="never_treated").fit(
            frame,
            outcome="ed_visits",
            unit="member_id",
            time="month",
            first_treat="cohort",
            aggregate="event_study",
        )
        return pd.Series({t: e["effect"] for t, e in result.event_study_effects.items()})

    return _by_group(path, fit)


def _csdid(path: Path) -> list[list[float]]:
    from csdid.att_gt import ATTgt

    def fit(frame: pd.DataFrame) -> pd.Series:
        frame = frame.astype({"ed_visits": float})
        result = ATTgt(
            yname="ed_visits",
            tname="month",
            idname="member_id",
            gname="cohort",
            data=frame,
            control_group=["nevertreated"],
            allow_unbalanced_panel=bool((frame.groupby("member_id").size() < MONTHS).any()),
        ).fit(est_method="reg", bstrap=False)
        study = result.aggte(typec="dynamic", bstrap=False).atte
        return pd.Series(np.asarray(study["att_egt"], dtype=float), index=study["egt"])

    return _by_group(path, fit)


PEERS = {"diff-diff": _diff_diff, "csdid": _csdid}
RUN = {name: _timed(step) for name, step in {"package": _package, **PEERS}.items()}


if __name__ == "__main__":
    main()
