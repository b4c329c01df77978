"""Code lists: every value text, each row with its source and whether it is confirmed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

import pandas as pd

from calaim_eval.errors import TableError


@cache
def code_list_names() -> tuple[str, ...]:
    """Names of the code lists that come with the package, in alphabetical order."""
    folder = files("calaim_eval.schema") / "codes"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv")))


@cache
def _read_codes(name: str) -> pd.DataFrame:
    """One code list as committed; never handed out itself."""
    path = files("calaim_eval.schema") / "codes" / f"{name}.csv"
    with path.open("r", encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)


def load_codes(name: str) -> pd.DataFrame:
    """Read one code list.

    Parameters
    ----------
    name : str
        Name of the list, such as ``"county"`` or ``"service_codes"``; see `code_list_names`.

    Returns
    -------
    pd.DataFrame
        One row per code, every column text (an empty cell is ``""``). Where the list has them:
        `source` says where the row comes from, `confirmed` whether a public page says so
        (``yes``, ``partial``, ``no``), `effective_from` the first day the code counts. A fresh
        copy: change it freely.

    Raises
    ------
    TableError
        No list has that name; the message names the lists there are.

    Examples
    --------
    >>> counties = load_codes("county")
    >>> len(counties)
    58
    >>> counties.loc[0, "fips"]
    '06001'
    """
    if name not in code_list_names():
        close = get_close_matches(name, code_list_names(), n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        listed = ", ".join(f"`{each}`" for each in code_list_names())
        raise TableError(f"no code list is named `{name}`.{hint}\n  Code lists: {listed}.")
    return _read_codes(name).copy()


def codes_sha256(names: Iterable[str] | None = None) -> str:
    """Hash of code lists together, all by default: which versions an output was made with."""
    digest = hashlib.sha256()
    for name in code_list_names() if names is None else names:
        path = files("calaim_eval.schema") / "codes" / f"{name}.csv"
        digest.update(name.encode("utf-8"))
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
