"""Cell moments of the panel, also to share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calaim_eval.cli.app import StudyArgument
from calaim_eval.cli.say import say_next, say_stop, step
from calaim_eval.errors import DesignError


def moments(
    study: StudyArgument,
    *,
    out: Annotated[Path | None, typer.Option(help="Also write the main design's moments here.")] = (
        None
    ),
    share: Annotated[
        bool,
        typer.Option("--share", help="Leave cells of few members out of the file."),
    ] = False,
) -> None:
    """Reduce the panel to cell moments, from which every effect follows."""
    import shutil

    from calaim_eval.disclosure import moments_to_share
    from calaim_eval.moments import load_moments
    from calaim_eval.pipeline import MAIN_ANCHOR, build_moments, build_panel
    from calaim_eval.study import read_study

    if share and out is None:
        raise typer.BadParameter("name the file to share: --share --out FILE")
    loaded = read_study(study)
    built = step("Building the member-month panel", lambda: build_panel(loaded))
    paths, refused = step(
        "Reducing the panel to cell moments", lambda: build_moments(loaded, built)
    )
    for name, reason in refused.items():
        typer.echo(f"{name}: left out. {reason}")
    for name, files in paths.items():
        typer.echo(f"{name}: " + ", ".join(str(file) for file in files))
    if out is not None and MAIN_ANCHOR not in paths:
        typer.echo(f"{out}: not written, for {MAIN_ANCHOR} is left out.", err=True)
        raise typer.Exit(DesignError.exit_code)
    if out is not None and share:
        whole = load_moments(paths[MAIN_ANCHOR][0])
        shared = moments_to_share(whole, policy=loaded.disclosure_policy)
        shared.save(out)
        typer.echo(
            f"{out}: {len(shared):,} of {len(whole):,} cells, each of at least as many members "
            "as the policy asks. For pooling under an agreement, not for publication."
        )
        for note in shared.provenance["notes"][len(whole.provenance["notes"]) :]:
            typer.echo(note)
    elif out is not None:
        shutil.copyfile(paths[MAIN_ANCHOR][0], out)
        typer.echo(
            f"{out}: unsuppressed sums of small groups. It is restricted: send it outside your "
            "organization only where an agreement allows it."
        )
    say_stop(loaded)
    say_next("estimate", study)
