"""An option that there is not is refused in one form of words."""

import pytest

from calaim_eval.errors import EstimationError, TableError, require_choice


def test_a_choice_that_there_is_passes():
    require_choice("by", "cohort", ("overall", "cohort"))
    require_choice("unbalanced", None, ("balanced", None))


def test_any_other_is_named_with_those_there_are():
    with pytest.raises(EstimationError) as told:
        require_choice("by", "year", ("overall", "cohort"))
    assert str(told.value) == "by: 'year' is not one of 'overall', 'cohort'."


def test_the_function_may_be_named_and_the_error_be_another():
    with pytest.raises(TableError) as told:
        require_choice("days", 2, (0, 1, None), of="aggregate", error=TableError)
    assert str(told.value) == "aggregate: days=2 is not one of 0, 1."
