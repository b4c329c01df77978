"""How a study shows race and ethnicity: the standard it reads them by, and the display."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.race_displays import RaceDisplay, display_words
from calaim_eval.schema.race_ethnicity import derive_race_ethnicity, exclusive


@dataclass(frozen=True, slots=True)
class RaceRule:
    """The one group of each person; the defaults read codes as recorded, Hispanic first.

    Attributes
    ----------
    schema : str
        A declared schema (`race_schemas`).
    display : {"hispanic_first", "alone", "primary"}
    priority : tuple[str, ...]
        For `primary`: which of several categories goes first.

    Raises
    ------
    TableError
        The schema or display is none, or the order names something that is no category, or is
        there without being used, or is not there where it is needed.
    """

    schema: str = "as_recorded"
    display: RaceDisplay = "hispanic_first"
    priority: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        declared = exclusive(self.schema, self.display)
        if not declared.systems:
            raise TableError(
                f"the schema `{self.schema}` has yes/no columns and no codes, so the codes of "
                "persons cannot be read by it.\n  Use recorded_categories(frame, "
                f"schema='{self.schema}') on such a file, and 'as_recorded' here."
            )
        unknown = [each for each in self.priority if each not in declared.categories]
        if unknown:
            listed = ", ".join(f"'{each}'" for each in declared.categories)
            raise TableError(
                f"the order of categories names {', '.join(map(repr, unknown))}, no category of "
                f"`{self.schema}`.\n  Its categories: {listed}."
            )
        if bool(self.priority) != (self.display == "primary") and (
            self.priority or declared.allows_several
        ):
            raise TableError(
                "an order of categories goes with the display 'primary', which needs one where a "
                f"member can have several; the display is '{self.display}' with "
                f"{len(self.priority)} categories in order."
            )

    def derive(self, persons: pd.DataFrame) -> pd.DataFrame:
        """Group of each person; see `derive_race_ethnicity`."""
        return derive_race_ethnicity(
            persons, schema=self.schema, display=self.display, priority=self.priority
        )

    @property
    def words(self) -> str:
        """The sentence by which every output says which display it is in."""
        title = exclusive(self.schema, self.display).title
        return display_words(self.display, schema=title, priority=self.priority)

    def to_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self) | {"priority": list(self.priority)}
