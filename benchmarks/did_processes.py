"""Time to reduce a panel by one process and by two.

    python benchmarks/did_processes.py PANEL.parquet [--processes 2] [--repeats 3]

The panel is one that `did_against.py --keep FOLDER` has written. Each reduction runs in a process
of its own, one after the other by turns; seconds are the smallest, CPU with the processes it
starts, memory that of the largest process. One process reads on as many threads as there are cores
(up to four), so several gain where work is not shared among threads, and where memory is.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from measured import measured

SELF = Path(__file__).resolve()


def main() -> None:
    options = _options()
    if options.out is not None:
        _reduce(options.panel, options.processes, options.out)
        return
    print("| processes | wall s | CPU s | wall to one | CPU to one | peak GB | load |")
    print("|" + "---|" * 7)
    kinds = (1, options.processes)
    rounds = [{n: _cost(options.panel, n) for n in kinds} for _ in range(options.repeats)]
    best = {
        n: {kind: min(one[n][kind] for one in rounds) for kind in ("wall_s", "cpu_s")}
        for n in kinds
    }
    for n in kinds:
        wall, cpu = best[n]["wall_s"], best[n]["cpu_s"]
        peak, load = (max(one[n][kind] for one in rounds) for kind in ("peak_gb", "load"))
        print(
            f"| {n} | {wall:.2f} | {cpu:.2f} | {wall / best[1]['wall_s']:.2f} "
            f"| {cpu / best[1]['cpu_s']:.2f} | {peak:.2f} | {load:.1f} |"
        )


def _cost(panel: Path, processes: int) -> dict[str, float]:
    """Wall and CPU seconds of one reduction without imports, and its largest memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seconds.json"
        cost = measured(SELF, str(panel), "--processes", str(processes), "--out", str(out))
        seconds = json.loads(out.read_text())
    return {**seconds, "peak_gb": cost.peak_gb, "load": cost.load}


def _reduce(panel: Path, processes: int, out: Path) -> None:
    """Reduce and write the seconds it took; the imports of processes it starts count."""
    from calaim_eval.moments import reduce_panel

    wall, cpu = time.perf_counter(), _cpu()
    reduce_panel(
        panel,
        outcomes=["ed_visits"],
        stratum="race_ethnicity",
        unbalanced="cell_means",
        processes=processes,
    )
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu() - cpu}
    out.write_text(json.dumps(seconds))


def _cpu() -> float:
    """User and system seconds of this process and of those it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("panel", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
