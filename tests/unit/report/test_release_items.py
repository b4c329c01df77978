"""Only released numbers get in; what is absent is said."""

import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import DisclosureError
from calaim_eval.report import EXPECTED_ITEMS, Absent, ReportError, figures, open_release, tables
from calaim_eval.report.release_items import FURTHER_ITEMS, find_item, need_columns


@pytest.mark.parametrize("name", ["access_funnel", "effect_by_race"])
def test_unreleased_results_are_refused(quarter_results, name):
    with pytest.raises(TypeError, match=r"takes a `Released`, not a `(Rate|Effect)Table`"):
        find_item(quarter_results[name], name)


def test_a_dict_of_results_is_refused_by_figures_and_tables(quarter_results):
    with pytest.raises(TypeError, match="takes a `Released`"):
        figures.access_funnel(quarter_results)
    with pytest.raises(TypeError, match="takes a `Released`"):
        tables.effects_table(quarter_results)


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(DisclosureError, match="not a release"):
        open_release(tmp_path)


def test_the_made_up_quarter_has_every_expected_item(released):
    assert set(EXPECTED_ITEMS) <= set(released.tables) <= {*EXPECTED_ITEMS, *FURTHER_ITEMS}


def test_absent_items_are_named_with_the_usual_reason():
    small = release({}, quarter="2024Q4")
    found = find_item(small, "referral_funnel")
    assert isinstance(found, Absent)
    assert "referrals step by step" in found.words
    assert "`referral` was not provided" in found.words


def test_a_released_table_without_its_keys_is_refused(released):
    with pytest.raises(ReportError, match="`access_funnel` lacks `county`"):
        need_columns(released.tables["access_funnel"], ("county",))
