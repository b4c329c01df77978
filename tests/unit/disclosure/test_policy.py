"""Policies are data: those of the package, and files of one's own."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table

from calaim_eval.disclosure import Released, load_policy, policy_names, read_ledger, release
from calaim_eval.disclosure.policy import policy_of
from calaim_eval.errors import DisclosureError

OWN = """
based_on = "calhhs_ddg_2"
name = "plan_x"
version = "3"
title = "Plan X, privacy office"
source = "decision of 2024-05-02"
min_count = 16
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "plan_x.toml"

    def write(text):
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_policies_say_where_they_come_from():
    assert policy_names() == (
        "calhhs_ddg_1", "calhhs_ddg_2", "cms_11", "opensafely_midpoint_6", "opensafely_round_5",
    )  # fmt: skip
    for name in policy_names():
        policy = load_policy(name)
        assert policy.name == name
        assert policy.source.startswith("https://")
        assert policy.confirmed in {"yes", "partial"}
        assert policy.keep_readable["race_ethnicity"] == ("aian", "nhpi", "black")
    smallest = {name: load_policy(name).min_count for name in policy_names()}
    assert smallest == {
        "calhhs_ddg_1": 11, "calhhs_ddg_2": 11, "cms_11": 11,
        "opensafely_midpoint_6": 1, "opensafely_round_5": 8,
    }  # fmt: skip


def test_the_denominator_test_is_that_of_each_edition():
    assert load_policy("calhhs_ddg_1").denominator_limit == 20_000
    assert load_policy("calhhs_ddg_2").denominator_limit == 20_001


def test_an_unknown_policy_is_named_with_those_there_are():
    with pytest.raises(DisclosureError, match=r"(?s)`calhhs_ddg`\. Did you mean .*`cms_11`"):
        load_policy("calhhs_ddg")


def test_an_unknown_policy_writes_nothing(tmp_path):
    table = rate_table(pd.DataFrame({"service": ["meals"]}), [40])
    with pytest.raises(DisclosureError, match="no policy is named"):
        release({"t": table}, policy="none", to=tmp_path, quarter="2024Q4")
    assert not list(tmp_path.iterdir())


def test_a_policy_of_ones_own_takes_the_rest_from_another(own):
    policy = load_policy(own(OWN))
    assert (policy.name, policy.version, policy.min_count) == ("plan_x", "3", 16)
    assert policy.confirmed == "own"
    assert policy.min_interval == load_policy("calhhs_ddg_2").min_interval
    assert policy.differs_from == ("min_count 16 (11 in calhhs_ddg_2)",)
    assert load_policy(str(own(OWN))) == policy


def test_a_policy_saved_by_a_windows_editor_is_read(own):
    path = own(OWN)
    path.write_bytes(b"\xef\xbb\xbf" + OWN.lstrip().replace("\n", "\r\n").encode())
    assert load_policy(path).sha256 == load_policy(own(OWN)).sha256


def test_the_hash_is_of_the_rules(own):
    policy = load_policy(own(OWN))
    assert policy.sha256 == load_policy(own(OWN + "# a remark\n")).sha256
    assert policy.sha256 != load_policy(own(OWN.replace("16", "17"))).sha256
    assert len({load_policy(name).sha256 for name in policy_names()}) == len(policy_names())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (OWN + "min_cuont = 5\n", "`min_cuont` is no key of a policy; did you mean `min_count`"),
        (OWN.replace("16", '"16"'), "`min_count`: a whole number of 1 or more"),
        (OWN.replace("16", "-1"), "`min_count`: a whole number of 1 or more"),
        (OWN.replace("16", "true"), "`min_count`: a whole number"),
        (OWN + "zeros_shown = 1\n", "`zeros_shown`: is true or false"),
        (OWN + "min_interval = nan\n", "`min_interval`: a number of 1 or more"),
        (OWN + 'rounding = "up"\n', '`rounding`: one of "none", "nearest", "midpoint"'),
        (OWN + "rounding_base = 5\n", "`rounding` is `none` and `rounding_base` 5"),
        (OWN.replace("16", "1"), "a count of one person is published"),
        (OWN.replace('"plan_x"', '"Plan X"'), "`name`: lower-case letters"),
        (OWN.replace('"plan_x"', '"cms_11"'), "the name of a policy of the package"),
        (OWN.replace('source = "decision of 2024-05-02"', ""), "`source` missing"),
        (OWN.replace("calhhs_ddg_2", "ours"), "`based_on` is none of the policies"),
        ('name = "plan_x"\n', "(?s)problems.*`min_count` is missing"),
        ("min_count 16", "not a TOML file"),
        (OWN + "[keep_readable]\nrace_ethnicity = 3\n", "`keep_readable`: a table of lists"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(own, text, match):
    with pytest.raises(DisclosureError, match=match):
        load_policy(own(text))


def test_all_problems_are_said_at_once(own):
    with pytest.raises(DisclosureError, match="2 problems"):
        load_policy(own(OWN.replace("16", "0") + "colour = 3\n"))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DisclosureError, match=r"(?s)no such policy file.*`cms_11`"):
        load_policy(tmp_path / "policy.toml")


def test_every_output_names_and_hashes_the_policy(own, tmp_path):
    """A release under a policy of one's own is read without its file, and not under another."""
    path = own(OWN)
    policy = load_policy(path)
    table = rate_table(pd.DataFrame({"service": ["meals", "housing"]}), [40, 14])
    made = release({"t": table}, policy=path, to=tmp_path / "release", quarter="2024Q4")
    assert made.tables["t"].frame["is_suppressed"].tolist() == [False, True]
    path.unlink()
    loaded = Released.load(tmp_path / "release" / "2024Q4")
    assert loaded.policy == "plan_x version 3"
    assert loaded.certificate["policy_sha256"] == policy.sha256
    assert loaded.policy_rules == policy.rules()
    (entry,) = read_ledger(tmp_path / "release" / "ledger.jsonl")
    assert (entry["policy"], entry["policy_sha256"]) == ("plan_x version 3", policy.sha256)
    log = (tmp_path / "release" / "2024Q4" / "log.md").read_text(encoding="utf-8")
    assert policy.sha256 in log
    assert "min_count 16 (11 in calhhs_ddg_2)" in log
    assert policy.sha256[:12] in loaded.summary()


def test_a_release_that_shows_what_its_own_policy_hides_is_refused(own, tmp_path):
    from calaim_eval.disclosure import folder as files

    table = rate_table(pd.DataFrame({"service": ["meals", "housing"]}), [40, 14])
    release({"t": table}, policy=own(OWN), to=tmp_path / "release", quarter="2024Q4")
    folder = tmp_path / "release" / "2024Q4"
    (tmp_path / "release" / "ledger.jsonl").unlink()
    csv = folder / "tables" / "t.csv"
    csv.write_text(csv.read_text().replace("housing,,,,,,true", "housing,14,,,,,false"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["content"]["files"]["tables/t.csv"] = files._sha256(csv)
    manifest["content_sha256"] = files._digest(manifest["content"])
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DisclosureError, match="was changed"):
        Released.load(folder)


def test_estimates_may_need_more_members_than_counts():
    policy = replace(load_policy("calhhs_ddg_2"), name="more", min_support=30)
    assert policy.support_needed == 30
    table = effect_table(pd.DataFrame({"event_time": [0, 1]}), [29, 30])
    from calaim_eval.disclosure.effects import small_effects

    assert small_effects(table, policy=policy).tolist() == [True, False]


def test_tables_to_hide_first_are_tables():
    assert load_policy("calhhs_ddg_2").hide_first == ("access_times",)
    content = load_policy("calhhs_ddg_2").rules()
    for wrong in ("access_times", ["Access times"], [3]):
        with pytest.raises(DisclosureError, match="a list of names of tables"):
            policy_of(content | {"hide_first": wrong}, where="a policy")
    with pytest.raises(DisclosureError, match="above 0 and at most 1"):
        policy_of(content | {"cost_hide_first": 0}, where="a policy")


def test_a_table_to_hide_first_protects_one_that_is_not(tmp_path):
    """Five white members of Kern follow from the county's total and its others: which to hide."""
    counties = pd.DataFrame({"county": ["Kern", "Yolo", "all"]})
    fine = pd.DataFrame(
        {"county": ["Kern", "Kern", "Yolo", "Yolo"], "race_ethnicity": ["white", "aian"] * 2}
    )
    results = {
        "coarse": rate_table(counties, [30, 60, 90], margins=("county",)),
        "fine": rate_table(fine, [5, 25, 20, 40]),
    }

    def hidden(policy):
        tables = release(results, policy=policy).tables
        return {name: table.frame["is_suppressed"].tolist() for name, table in tables.items()}

    # Rows of aian are dear: by itself the search hides both counties instead, and one part of
    # Yolo, which would else be the sum of its parts.
    usual = hidden("calhhs_ddg_2")
    assert usual == {"coarse": [True, True, False], "fine": [True, False, True, False]}
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace("min_count = 16", 'hide_first = ["fine"]'), encoding="utf-8")
    first = hidden(path)
    assert first == {"coarse": [False, False, False], "fine": [True, True, False, False]}
