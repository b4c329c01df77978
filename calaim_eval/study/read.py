"""Read a study file; say everything that is wrong with it at once."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from calaim_eval.errors import StudyFileError
from calaim_eval.study.model import StudyFile


@dataclass(frozen=True, slots=True)
class Study:
    """A valid study file and the folders it lives among.

    Attributes
    ----------
    path : Path
        The study file.
    file : StudyFile
        What it says.
    sha256 : str
        Hash of the file's bytes, carried into every output.
    """

    path: Path
    file: StudyFile
    sha256: str

    @property
    def folder(self) -> Path:
        """Folder of the study file; all relative paths start here."""
        return self.path.parent

    @property
    def input_folder(self) -> Path:
        """Raw files."""
        return (self.folder / self.file.input.folder).resolve()

    @property
    def input_place(self) -> Path | str:
        """Raw files, or the address of the database that has the tables."""
        return self.file.input.database or self.input_folder

    @property
    def partner_folders(self) -> dict[str, list[Path]]:
        """Folders with files that partners hold, by format."""
        return {
            name: [(self.folder / each).resolve() for each in folders]
            for name, folders in self.file.input.partners.items()
        }

    @property
    def restricted(self) -> Path:
        """Everything that holds member-level or unsuppressed numbers."""
        return self.folder / "restricted"

    @property
    def disclosure_policy(self) -> str:
        """Suppression policy: a name, or the path of a file of the study's own."""
        policy = self.file.disclosure.policy
        return str(self.folder / policy) if policy.endswith(".toml") else policy

    @property
    def residents(self) -> dict[str, int]:
        """People living in each county, for the guideline's score; empty where not given.

        Raises
        ------
        StudyFileError
            The file is missing, or has no columns `county` and `residents` of whole numbers.
        """
        if self.file.disclosure.residents is None:
            return {}
        path = self.folder / self.file.disclosure.residents
        wanted = (
            f"{path} (disclosure.residents): expected a CSV file with the columns `county` and "
            "`residents`, a whole number each."
        )
        try:
            frame = pd.read_csv(path, dtype={"county": str})[["county", "residents"]]
            return {str(c): int(n) for c, n in frame.itertuples(index=False)}
        except (OSError, KeyError, ValueError):
            raise StudyFileError(wanted) from None

    def release_folder(self, quarter: str) -> Path:
        """Suppressed tables of a quarter: the only input of the report."""
        return self.folder / "release" / quarter

    def report_folder(self, quarter: str) -> Path:
        """Rendered pages of a quarter."""
        return self.folder / "report" / quarter

    @property
    def last_quarter(self) -> str:
        """Last quarter that lies wholly before the end of the analysed months."""
        return str((self.file.months[-1] + 1).asfreq("Q") - 1)

    def check_quarter(self, quarter: str) -> pd.Period:
        """The quarter as a period.

        Raises
        ------
        StudyFileError
            If it is not written like ``2024Q4`` or lies outside the study window.
        """
        try:
            period = pd.Period(quarter, "Q")
        except ValueError:
            period = None
        if period is None or str(period) != quarter:
            raise StudyFileError(f"`--quarter {quarter}`: write a quarter as 2024Q4.")
        months = self.file.months
        if period.start_time < months[0].start_time or period.end_time > months[-1].end_time:
            raise StudyFileError(
                f"`--quarter {quarter}`: no data. The study window less its run-out is "
                f"{months[0]} to {months[-1]}; choose a quarter that lies wholly inside it, or "
                f"change `window` in {self.path.name}."
            )
        return period


def read_study(path: str | Path) -> Study:
    """Read and validate a study file.

    Parameters
    ----------
    path : path
        A TOML file, or a folder that holds ``study.toml``.

    Returns
    -------
    Study

    Raises
    ------
    StudyFileError
        If the file is absent, is not TOML, or any key is missing, unknown or has a value that
        is not allowed: all problems together.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "study.toml"
    if not path.is_file():
        raise StudyFileError(
            f"{path}: no such study file. `calaim-eval init DIR` writes a commented one."
        )
    raw = path.read_bytes()
    try:
        content = tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyFileError(f"{path}: not a TOML file: {error}.") from error
    try:
        file = StudyFile.model_validate(content)
    except ValidationError as error:
        raise StudyFileError(_problems(path, error)) from None
    study = Study(path=path.resolve(), file=file, sha256=hashlib.sha256(raw).hexdigest())
    _require_policy(study)
    return study


def _require_policy(study: Study) -> None:
    """Refuse a policy that is not there now, not after hours of work."""
    from calaim_eval.disclosure import load_policy
    from calaim_eval.errors import DisclosureError

    try:
        load_policy(study.disclosure_policy)
    except DisclosureError as problem:
        raise StudyFileError(f"{study.path}: disclosure.policy: {problem}") from None


def _problems(path: Path, error: ValidationError) -> str:
    """Every problem on a line of its own, with the key's place and what to write instead."""
    lines = [_one_problem(problem) for problem in error.errors()]
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return "\n".join([f"{path}: {count}", *(f"  {line}" for line in lines)])


def _one_problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"the keys here are {', '.join(known)}"
        return f"{where}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{where}: missing; there is no default for what a reviewer would ask about"
    if problem["type"] == "literal_error":
        allowed = problem["ctx"]["expected"].replace(" or ", ", ")
        return f"{where}: '{problem['input']}' is not one of {allowed}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where or 'study file'}: {message}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Keys allowed at a place of the study file."""
    model: type[BaseModel] = StudyFile
    for part in location:
        annotation = (
            model.model_fields[str(part)].annotation if part in model.model_fields else None
        )
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
