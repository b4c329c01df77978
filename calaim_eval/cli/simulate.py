"""A simulated Medi-Cal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from calaim_eval.cli.say import say_next, step
from calaim_eval.version import __version__


def simulate(
    folder: Annotated[Path, typer.Argument(help="Study folder to write raw/ and truth/ into.")],
    *,
    members: Annotated[int, typer.Option(min=200, help="How many members.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of all chance.")] = 20_260_101,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep a simulation of this size, seed and version."),
    ] = False,
    partner_files: Annotated[
        bool,
        typer.Option("--partner-files", help="Write partners' files too, in their own formats."),
    ] = False,
) -> None:
    """A simulated Medi-Cal: raw files, with the true effects written beside them."""
    from calaim_eval.simulate import simulate_medi_cal
    from calaim_eval.study import init_study

    wanted = {"members": members, "seed": seed, "package_version": __version__}
    if keep and _is_simulated(folder, wanted):
        typer.echo(f"{folder} holds the simulated files of {members:,} members; they are kept.")
        _simulate_partners(folder, is_wanted=partner_files)
        return
    step(
        f"Simulating {members:,} members",
        lambda: simulate_medi_cal(folder, members=members, seed=seed),
    )
    if not (folder / "study.toml").exists():
        init_study(folder)
    _simulate_partners(folder, is_wanted=partner_files)
    say_next("run", folder / "study.toml", quarter="2024Q4")


def _simulate_partners(folder: Path, *, is_wanted: bool) -> None:
    """Write partners' files where they are wanted, and say how a study file names them."""
    if not is_wanted:
        return
    from calaim_eval.simulate.partner_files import partner_lines, simulate_partner_files

    made = step("Writing partners' files", lambda: simulate_partner_files(folder))
    typer.echo(f"{folder / 'partners'} holds {', '.join(made.folders)}. In the study file:")
    typer.echo(partner_lines(made))


def _is_simulated(folder: Path, wanted: dict[str, object]) -> bool:
    """Whether a folder holds the simulation that is asked for."""
    about = folder / "truth" / "simulation.json"
    if not about.is_file() or not (folder / "raw").is_dir():
        return False
    found = json.loads(about.read_text(encoding="utf-8"))
    return all(found.get(key) == value for key, value in wanted.items())
