"""Files that lie beside the study file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from calaim_eval.errors import StudyFileError, TableError
from calaim_eval.study import Study


def path_beside(study: Study, key: str, name: str) -> Path:
    """A file that a key of the study file names.

    Raises
    ------
    StudyFileError
        It is not there.
    """
    path = Path(study.folder) / name
    if not path.is_file():
        raise StudyFileError(
            f"`{key}` names `{name}`, which is not beside the study file. Put it there, or take "
            "the key out."
        )
    return path


def read_beside(study: Study, key: str, name: str) -> pd.DataFrame:
    """A CSV file that a key of the study file names.

    Raises
    ------
    StudyFileError
        It is not there.
    TableError
        It cannot be read.
    """
    try:
        return pd.read_csv(path_beside(study, key, name))
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(f"`{name}` cannot be read as CSV ({type(error).__name__}).") from error
