"""Where the report's source is: in the installed package, or in the checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from calaim_eval.report.errors import ReportError

REPORT_FILE = "quarterly.qmd"


def find_source(source: str | Path | None = None) -> Path:
    """Path of the `.qmd` to render.

    Parameters
    ----------
    source : path, optional
        A `.qmd` file, or a folder that holds ``quarterly.qmd``. Default: the one that comes with
        the package, else ``reports/quarterly.qmd`` of the checkout.

    Returns
    -------
    Path

    Raises
    ------
    ReportError
        There is no such file; the message lists where it was looked for.
    """
    if source is not None:
        path = Path(source)
        path = path / REPORT_FILE if path.is_dir() else path
        if not path.is_file():
            raise ReportError(f"no report source at `{path}`. Give a `.qmd` file or its folder.")
        return path
    packaged = Path(str(files("calaim_eval"))) / "_share" / "reports" / REPORT_FILE
    checkout = Path(str(files("calaim_eval"))).parent / "reports" / REPORT_FILE
    for path in (packaged, checkout):
        if path.is_file():
            return path
    raise ReportError(
        "the report source `quarterly.qmd` is neither in the package nor in `reports/` of the "
        "checkout. Reinstall calaim-eval, or give `source=`."
    )
