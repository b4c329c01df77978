"""The commented study file that `calaim-eval init` writes."""

from __future__ import annotations

import textwrap
from pathlib import Path
from string import Template

from calaim_eval.errors import OutputError
from calaim_eval.panel.measures import FAMILIES
from calaim_eval.tables.formats import FORMATS

_HEAD = Template("""\
# A study: what is asked, of whom, with which rules. Every output carries the hash of this file.
# `calaim-eval check study.toml` says whether it and the raw files agree; nothing is estimated.
format_version = 1
study_id = "$study_id"   # lower case; goes into the report
title = "$title"
question = "$question"

# What is measured, per 1,000 member-months (paid_usd: US dollars per member-month).
# docs/measures.md says what each counts and which file it needs. Any of:
$measures
outcomes = $outcomes

[window]
first_month = "$first_month"
last_month = "$last_month"
extract_date = $extract_date       # day the raw files were drawn; tells restatements apart
run_out_months = $run_out_months              # last months left out: claims still arrive

[input]
# Where the files are (from this file, or a full path), and their format: one of
# $formats.
folder = "$folder"
format = "$input_format"
# Files called otherwise (`*` stands for anything), columns called otherwise, columns your files do
# not have and codes of your own: yours = "ours". docs/formats/ has every format.
# [input.files]
# eligibility = "elig_2024*.csv.gz"
# contract = "contracts 2024.xlsx"
# [input.sheets]                 # of a workbook, where several sheets have the columns
# contract = "Contracts"         # or "Contracts!A4", the header's first cell; "*" for every one
# [input.rename.eligibility]
# eff_dt = "enrollment_start_date"
# [input.constants.medical_claim]
# plan = "Plan A"
# [input.values.eligibility.payer_type]
# MCAL = "medicaid"
# Files that partners hold, put beside (docs/formats/partners.md): format = folder or folders.
# [input.partners]
# hmis = "raw/hmis"
# Tables of a database instead of files: database in place of folder, no password in it (keep that
# in PGPASSWORD or ~/.pgpass); [input.files] then names tables or views.
# database = "postgresql://user@host/name"

[coverage]
payer_types = $payer_types
month_rule = "any_day"          # "any_day", "first_day" or "all_days" of the month covered
max_gap_months = 0              # gaps of up to so many months do not end enrollment or access
# Members not covered in every month of the window: "cell_means" takes whoever is covered in a
# month, "balanced_members" only those covered throughout. Notes say what the choice loses.
unbalanced = "cell_means"
exclude_duals = $exclude_duals            # a dual member's use is partly in Medicare claims
# custody_months = "leave_out"  # months wholly in custody (needs the custody file); else "keep"

# How visits, stays and readmissions are told. Every key has a default (docs/measures.md); a
# panel built by other rules is another panel.
# [rules]
# ed_definition = "with_urgent_care"       # revenue code 0456 counts as an ED visit
# readmission_ages = [18, 64]              # as HEDIS Plan All-Cause Readmissions takes them
# readmission_enrollment = "hedis"         # covered 365 days before and 30 after the discharge
# drg_system = "apr_drg"                   # tells planned rehabilitation and transplants

# What works on the data; no number depends on it (docs/scale.md).
# [computing]
# engine = "spark"                         # the panel on a cluster; else "duckdb", on this machine
# memory_limit_gb = 4                      # a process stays under about this and half a GB
""")

_EXPOSURE = """
# Members on the plans' eligibility lists who received ECM, compared with members who became
# eligible in the same month by the same rule and had not (yet) received it.
# Leave this section out and the report describes, but estimates no effect.
[exposure]
service = "ecm"                 # or a Community Support, as in community_support.csv
eligibility = "listed"          # "listed" (plan lists) or "high_ed_use" (5 ED visits in 6 months)
comparison = "not_yet_exposed"  # or "never_exposed"
lookback_months = 6             # covered months required before eligibility
follow_up_months = 12           # months followed after first exposure
anticipation_months = 0         # months before exposure that it may already have changed
eligibility_cell = "month"      # compared within the "month" of eligibility; "quarter" keeps more
                                # members, but after a peak of use it can hide most of the effect
base_period = "varying"         # "varying" or "universal", as in Callaway and Sant'Anna
rate_ratio = "same_number"      # ratios take use to move, without the service, by the same number
                                # as among comparison members; or by the "same_percentage"

# The same effect against members alike in use before exposure, covered and not yet served in that
# month: a second answer, should those picked for the service be picked for a rise in use. Leave
# the section out and it is not estimated. docs/methods/matching_and_weighting.md has every key.
[matched]
match_on = ["ed_visits", "inpatient_stays"]  # use in the look-back; also "age_years"
exact = ["race_ethnicity"]      # same in every pair; effects by a group need it here
ratio = 1                       # matches of each member served
# caliper = 0.5                 # largest distance, in standard deviations
# replacement = "without"       # a member is a match once; default: once an index month

# County phases: identified for January to June 2022 only; from July every county is exposed.
[county_phase]
lookback_months = 12

# Use of all members before and after a month, by segmented regression: a description beside the
# effects, not causal alone (docs/methods/interrupted_time_series.md). At least 8 months are needed
# on each side, 12 with seasons.
# [statewide_series]
# break_month = "2022-01"
# phase_in_months = 6            # months from it on that are left out: the counties of July
# seasonality = "harmonic"       # or "months"; default "none"
"""

_TAIL = """
[equity]
reference = "white"             # the group that gaps are taken from; name it, there is no default
# How race and ethnicity are read and shown (docs/methods/race_ethnicity.md). A member is in one
# group: "hispanic_first" (Hispanic whatever the race), "alone" (several categories are "multiple")
# or "primary" (the first named of race_priority).
# race_schema = "omb_2024"      # default "as_recorded"
# race_display = "alone"        # default "hispanic_first"
# race_priority = ["aian", "nhpi", "black", "hispanic"]
# race_in_combination = true    # members, use and access by every category a member has, as well
# crossed_with = ["age_band", "language"]  # members and use by race and one more column at a time
# age_bands = [18, 65]          # first ages of the bands after the lowest; default [18, 21, 45, 65]
# access_months = [1, 6]        # how many are reached and served so many months after a stage began
# standard_ages = [45]          # first ages of the bands that access is standardized by, with sex

[integration]
maturation_days = 90            # a referral younger than this is not yet counted as open or closed
# case_finding = { question = "ed_visits", threshold = 20 }  # of homeless services' assessments
# case_conference = { service = "case_conference", days = 30 }  # their record of persons discussed
# eligible = "eligible.csv"    # county,service,eligible_low,eligible_high: estimates from outside
# coordinator = "O00017"        # organization taken out of the referral network; else its broker
# What goes with closed referrals (docs/methods/what_goes_with_success.md); county_factors is a CSV
# beside this file with `county` and columns of your own.
# success = { factors = ["cbo_share", "wpc_pilot"], categorical = ["plan_model_2024"] }
# Combinations by fsQCA too: success.combinations = { calibration = "sets.toml", outcome = "closes",
# conditions = ["piloted"] }, with the anchors of each set in that file. With expectations =
# { piloted = "present" }, declared before looking, the intermediate solution too.
# Does the effect differ where referrals were closed more often? Counties by the share closed with
# services as known before a month, members first served from it on; choose both before looking.
# effect_by_level = { cut = 0.5, before = "2023-07" }
# Ranges of ranks of counties (docs/methods/composite_index.md); declare weights before looking.
# index_weights = { services_covered = 0.4, members_served_by_cbos = 0.3, referrals_closed = 0.3 }

[disclosure]
policy = "calhhs_ddg_2"         # 1 to 10 suppressed, and whatever they could be recovered from
# policy = "our_policy.toml"    # or rules of your own beside this file (docs/methods/disclosure.md)
# residents = "residents.csv"   # county,residents: people living there, for the guideline's score

# What the data are held against before anything is estimated: docs/data_quality.md has every check.
[quality]
# A finding that is known and right: it neither warns nor stops, and the report shows the reason.
# [quality.accepted]
# claims_outside_coverage = "plan X encounters of duals, agreed 2024-11-02"
# Limits other than the usual ones, as shares; 1 means never.
# [quality.warn_above]
# exact_duplicates = 0.2

# What the effects are put to. Every key has a default (docs/methods/honest_did.md).
[sensitivity]
# By how much trends may differ after exposure: this many times the largest change from one period
# to the next before it. [] leaves it out.
trends_differ = [0.5, 1, 2]
months_before = 12              # months before exposure that are looked at, where there are any
first_months = 6                # the effect asked about: the average of the first months
months_per_period = 3           # single months are mostly noise
placebo_months = [3, 6, 12]     # effects at false dates so many months before exposure; [] for none
# Outcomes out of the service's reach, with the reason; an effect on one speaks of bias.
# [sensitivity.negative_control]
# ambulance_trips = "dispatch does not depend on enrollment"

[report]
formats = ["html", "pdf", "docx"]
"""

_CALAIM = {
    "study_id": "calaim_study",
    "title": "Enhanced Care Management and Community Supports",
    "question": "Does Enhanced Care Management change what happens to members, and for whom?",
    "outcomes": (
        '[\n  "ed_visits", "inpatient_stays", "inpatient_days", "readmissions_30d",\n'
        '  "outpatient_visits", "ambulance_trips", "jail_days",\n]'
    ),
    "first_month": "2021-01",
    "last_month": "2024-12",
    "extract_date": "2025-06-30",
    "run_out_months": "0",
    "payer_types": '["medicaid"]',
    "exclude_duals": "true",
}

_SYNTHEA = {
    **_CALAIM,
    "study_id": "synthea_study",
    "title": "Use of care in a Synthea population",
    "question": "How much care do members of each group use?",
    "outcomes": '["ed_visits", "inpatient_stays", "inpatient_days", "outpatient_visits"]',
    "first_month": "2015-01",
    "last_month": "2024-12",
    "extract_date": "2026-06-30",
    "payer_types": '["medicaid", "medicare", "commercial", "other"]',
    "exclude_duals": "false",
}


def study_template(input_format: str = "calaim", *, folder: str = "raw") -> str:
    """Text of a commented study file for raw files of a format.

    Synthea files hold no ECM or Community Supports records, so that template leaves `[exposure]`
    out: its report describes and estimates nothing.
    """
    values = _SYNTHEA if input_format == "synthea" else _CALAIM
    formats = ", ".join(f'"{each}"' for each in FORMATS)
    head = _HEAD.substitute(
        values,
        input_format=input_format,
        folder=folder,
        formats=formats,
        measures=_measures_by_family(),
    )
    return head + ("" if input_format == "synthea" else _EXPOSURE) + _TAIL


def _measures_by_family() -> str:
    """Comment lines that name every outcome under its family."""
    lines = []
    for family, names in FAMILIES.items():
        lines += textwrap.wrap(
            f"{family}: {', '.join(names)}.",
            width=98,
            initial_indent="# - ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def init_study(folder: str | Path, *, input_format: str = "calaim", raw: str = "raw") -> Path:
    """Write a commented study file and the folders beside it.

    Parameters
    ----------
    folder : path
        Created if absent. A study file that is already there is never overwritten.
    input_format : str
        A name of `tables.formats.FORMATS`.
    raw : str
        Where the raw files are, relative to `folder` or absolute.

    Returns
    -------
    Path
        The study file.

    Raises
    ------
    OutputError
        If a study file is already there or the folder cannot be written.
    """
    folder = Path(folder)
    path = folder / "study.toml"
    if path.exists():
        raise OutputError(
            f"{path} is already there and is not overwritten. Edit it, or choose another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not Path(raw).is_absolute():
            (folder / raw).mkdir(parents=True, exist_ok=True)
        path.write_text(study_template(input_format, folder=Path(raw).as_posix()), encoding="utf-8")
        (folder / ".gitignore").write_text(
            "# Member-level data and unsuppressed numbers stay out of version control.\n"
            "raw/\nrestricted/\n",
            encoding="utf-8",
        )
    except OSError as error:
        raise OutputError(
            f"Cannot write to {folder} ({error.strerror}). Check the path and permissions."
        ) from error
    return path
