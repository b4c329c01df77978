"""Bars of endings: words of the legend stay on the page, no two parts look alike."""

import pytest

from calaim_eval.report.figures.ending_bars import _colours, _ink, legend_rows
from calaim_eval.report.figures.theme import WIDTH

TIMES = [
    "In the same month",
    "Within 1 month",
    "In months 2 to 3",
    "In months 4 to 6",
    "In months 7 to 12",
]
ENDINGS = ["Still waiting", "Died", "Moved away", "Ended without service", "Coverage ended"]


@pytest.mark.parametrize(("n_times", "n_endings"), [(2, 2), (3, 3), (5, 2), (5, 5)])
def test_a_row_of_the_legend_is_no_wider_than_the_page(n_times, n_endings):
    """At 8.5 points a letter is about 0.07 inches wide, a key with its margins 0.3."""
    parts = TIMES[:n_times] + ENDINGS[:n_endings]
    n_rows = legend_rows(parts)
    columns = [parts[i : i + n_rows] for i in range(0, len(parts), n_rows)]
    assert sum(0.3 + 0.07 * max(map(len, column)) for column in columns) <= WIDTH
    colours = _colours(parts)
    assert list(colours) == parts
    assert len(set(colours.values())) == len(parts)


def test_four_stretches_of_time_keep_their_colours():
    assert list(_colours(TIMES[:4]).values()) == ["#084c8d", "#5a96c8", "#a9cbe6", "#d4e4f1"]


def test_words_are_white_on_dark_parts():
    assert _ink("#084c8d") == _ink("#5e5e5e") == "white"
    assert _ink("#d4e4f1") == _ink("#f2e3c6") != "white"
