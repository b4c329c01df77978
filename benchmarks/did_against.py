"""From member months to effects by cohort and month and an event study, against other packages.

    python benchmarks/did_against.py [member_months ...] [--shuffled] [--repeats N]
        [--without NAME ...] [--keep FOLDER]

Six race groups; every package estimates ATT(g, t) with members as clusters in each group and the
event study, from the same parquet file, in a process of its own. The package takes all groups
jointly, with the covariance between them. Peers take one group at a time: once reading only that
group from the file (least memory), once from one frame of all groups (*one frame*), which is what
most people would load. Seconds are the smallest of N processes and begin after the imports (the
parquet reader among them), whose seconds have a column of their own; reading is in them, and so is
what is compiled or imported at first use. Processes take turns. Memory is the largest resident
memory of the process, libraries included.

The floor is one DuckDB pass that reads the same columns and groups by cohort, month and group.
Without `--shuffled` the panel is balanced and sorted; with it 15 % of the rows are missing and the
rest are in random order. The last column is the largest difference of an effect at event time 0 to
6 from the package's. csdid is run up to twenty million member-months: it takes longest.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measured import measured

if TYPE_CHECKING:
    import pandas as pd

SELF = Path(__file__).resolve()
MONTHS = 48
GROUPS = ("white", "hispanic", "black", "asian", "aian", "nhpi")
STUDY = range(7)
KILOBYTES_A_GB = 1024**2


def main() -> None:
    options = _options()
    if options.do:
        RUN[options.do](options)
        return
    print(
        "| member-months | by | wall s | CPU s | import s | to the package: wall | CPU "
        "| to the floor: wall | CPU | peak GB | diff | load |"
    )
    print("|" + "---|" * 12)
    for size in options.sizes:
        with _folder(options.keep) as folder:
            path = folder / f"panel_{size}_{'shuffled' if options.shuffled else 'sorted'}.parquet"
            if not path.exists():
                _step("simulate", options, path, size=size)
            floor = _step("floor", options, path)
            names = [
                name
                for name in ("package", *PEERS)
                if name not in options.without and size <= UP_TO.get(name, size)
            ]
            # In turns, so that other work on the machine meets all of them alike.
            rounds = [
                {name: _step(name, options, path) for name in names} for _ in range(options.repeats)
            ]
            for name in names:
                held, ours = (_best([one[of] for one in rounds]) for of in (name, "package"))
                print(_row(size, name, held, ours, floor), flush=True)
            print(
                f"\nfloor: wall {floor['wall_s']:.2f} s, CPU {floor['cpu_s']:.2f} s\n", flush=True
            )


def _row(size: int, name: str, held: dict, ours: dict, floor: dict) -> str:
    """One row of the table."""
    study, mine = (np.array(h["study"], dtype=float) for h in (held, ours))
    if (np.isnan(study) != np.isnan(mine)).any():
        raise SystemExit(f"{name}: other groups or event times than the package")
    ratios = [held[kind] / of[kind] for of in (ours, floor) for kind in ("wall_s", "cpu_s")]
    return (
        f"| {size:,} | {name} | {held['wall_s']:.2f} | {held['cpu_s']:.2f} "
        f"| {held['import_s']:.2f} | {' | '.join(f'{ratio:.1f}' for ratio in ratios)} "
        f"| {held['peak_gb']:.2f} | {np.nanmax(np.abs(study - mine)):.0e} | {held['load']:.1f} |"
    )


def _best(held: list[dict]) -> dict:
    """Smallest seconds of several processes, largest memory."""
    best = {kind: min(one[kind] for one in held) for kind in ("wall_s", "cpu_s", "import_s")}
    worst = {kind: max(one[kind] for one in held) for kind in ("peak_gb", "load")}
    return {**held[0], **best, **worst}


def _step(name: str, options: argparse.Namespace, path: Path, *, size: int = 0) -> dict:
    """Run a step in a process of its own; this one stays small, for a process begins with the
    largest memory of the one that starts it."""
    out = path.with_suffix(".json")
    shuffled = ["--shuffled"] if options.shuffled else []
    cost = measured(
        SELF, str(size), "--do", name, "--file", str(path), "--out", str(out), *shuffled
    )
    held = json.loads(out.read_text())
    out.unlink()
    return {"peak_gb": cost.peak_gb, "load": cost.load, **held}


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where panels are written: kept for the next run if a folder is named."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], choices=[*PEERS])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--do", choices=RUN, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _simulate(options: argparse.Namespace) -> None:
    """A panel by DuckDB: three cohorts and half never exposed, 6 % of months with visits."""
    import duckdb

    (size,), path, is_shuffled = options.sizes, options.file, options.shuffled
    gap = 15 if is_shuffled else 0
    members = round(size / MONTHS / (1 - gap / 100))
    order = "hash(member_id * 48 + month)" if is_shuffled else "member_id, month"
    names = ", ".join(f"'{name}'" for name in GROUPS)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
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
    options.out.write_text("{}")


def _floor(options: argparse.Namespace) -> None:
    """Best of three passes over the file."""
    import duckdb

    walls, cpus = [], []
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute(
                "SELECT cohort, month, race_ethnicity, sum(ed_visits), count(*), max(member_id) "
                "FROM read_parquet(?) GROUP BY ALL",
                [str(options.file)],
            ).fetchall()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    options.out.write_text(json.dumps({"wall_s": min(walls), "cpu_s": min(cpus)}))


def _timed(
    estimate: Callable[[Path], list[list[float]]], *modules: str
) -> Callable[[argparse.Namespace], None]:
    """Keep what it estimates and what it took; the reading of the file counts, imports do not."""

    def run(options: argparse.Namespace) -> None:
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        for module in ("pandas", "pyarrow.parquet", *modules):
            importlib.import_module(module)
        cpu, wall = time.process_time(), time.perf_counter()
        # csdid prints every table it makes.
        with contextlib.redirect_stdout(io.StringIO()):
            study = estimate(options.file)
        held = {
            "study": study,
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
            "import_s": wall - started,
            **_peak(),
        }
        options.out.write_text(json.dumps(held))

    return run


def _peak() -> dict[str, float]:
    """Largest resident memory of this process, without what it began with; Linux says it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return {}
    lines = status.read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return {"peak_gb": int(peak.split()[1]) / KILOBYTES_A_GB}


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


Fit = Callable[["pd.DataFrame"], "pd.Series"]


def _by_group(path: Path, fit: Fit) -> list[list[float]]:
    """A group at a time, read from the file when its turn has come."""
    import pandas as pd

    columns = ["member_id", "month", "cohort", "ed_visits"]
    found = []
    for group in GROUPS:
        frame = pd.read_parquet(path, columns=columns, filters=[("race_ethnicity", "==", group)])
        frame["cohort"] = frame["cohort"].fillna(0).astype("int64")
        effects = fit(frame)
        found.append([float(effects.get(t, np.nan)) for t in STUDY])
    return found


def _of_one_frame(path: Path, fit: Fit) -> list[list[float]]:
    """A group at a time, out of a frame of all groups."""
    import pandas as pd

    frame = pd.read_parquet(path)
    frame["cohort"] = frame["cohort"].fillna(0).astype("int64")
    found = []
    for group in GROUPS:
        mine = frame[frame["race_ethnicity"] == group].drop(columns="race_ethnicity")
        effects = fit(mine.reset_index(drop=True))
        found.append([float(effects.get(t, np.nan)) for t in STUDY])
    return found


def _diff_diff(frame: pd.DataFrame) -> pd.Series:
    import diff_diff
    import pandas as pd

    result = diff_diff.CallawaySantAnna(control_group="never_treated").fit(
        frame,
        outcome="ed_visits",
        unit="member_id",
        time="month",
        first_treat="cohort",
        aggregate="event_study",
    )
    return pd.Series({t: e["effect"] for t, e in result.event_study_effects.items()})


def _csdid(frame: pd.DataFrame) -> pd.Series:
    import pandas as pd
    from csdid.att_gt import ATTgt

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


def _peer(read: Callable[[Path, Fit], list[list[float]]], fit: Fit, module: str) -> Callable:
    return _timed(lambda path: read(path, fit), module)


PEERS = {
    "diff-diff": _peer(_by_group, _diff_diff, "diff_diff"),
    "diff-diff, one frame": _peer(_of_one_frame, _diff_diff, "diff_diff"),
    "csdid, one frame": _peer(_of_one_frame, _csdid, "csdid.att_gt"),
}
READERS = [
    f"calaim_eval.moments.{name}"
    for name in ("reduce_parquet", "reduce_in_order", "reduce_addressed")
]
UP_TO = {"csdid, one frame": 20_000_000}
RUN = {
    "simulate": _simulate,
    "floor": _floor,
    "package": _timed(_package, "calaim_eval.estimate", *READERS),
    **PEERS,
}


if __name__ == "__main__":
    main()
