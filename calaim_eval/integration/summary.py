"""Every integration measure of a quarterly release, from one call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.claim_services import services_from_claims
from calaim_eval.integration.coverage import (
    contracted_but_idle,
    coverage_summary,
    service_coverage,
)
from calaim_eval.integration.delivery import (
    delivery_contracts,
    delivery_members,
    delivery_organizations,
)
from calaim_eval.integration.inputs import Day, as_day, quarter_days
from calaim_eval.integration.local_cbo import local_cbo_share
from calaim_eval.integration.measures_made import MeasuresMade, absent_tables
from calaim_eval.integration.network import (
    contract_concentration,
    network_cohesion,
    single_plan_dependence,
)
from calaim_eval.integration.organization_network.network_rates import SMALLEST_SHOWN_TIE
from calaim_eval.integration.organization_network.network_tables import (
    NETWORK_TABLES,
    network_tables,
)
from calaim_eval.integration.organization_network.survey_tables import (
    SURVEY_NETWORK_TABLES,
    survey_network_tables,
)
from calaim_eval.integration.payment import payment_denials, payment_timeliness
from calaim_eval.integration.referral_findings import referral_findings
from calaim_eval.integration.referral_losses import referral_losses
from calaim_eval.integration.referral_times import referral_times
from calaim_eval.integration.referrals import referral_closure, referral_funnel
from calaim_eval.results import RateTable
from calaim_eval.tables import Tables
from calaim_eval.tables.ledger import RowLedger

logger = logging.getLogger(__name__)

Recipe: TypeAlias = tuple[tuple[str, ...], Callable[[Mapping[str, pd.DataFrame]], RateTable]]

_COLUMNS = {"person": ["member_id", "race_ethnicity"]}
_DAYS = (30, 60, 90)
_TABLES = (
    "contract",
    "organization",
    "program_service",
    "referral",
    "person",
    "payment",
    "tie",
    "survey_response",
)


class IntegrationMeasures(MeasuresMade[RateTable]):
    """Integration measures by name, with what could not be made and why.

    Attributes
    ----------
    program_service : pd.DataFrame | None
        Program records with the services seen in claims; of members, restricted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.program_service: pd.DataFrame | None = None


def integration_measures(
    tables: Tables | Mapping[str, pd.DataFrame],
    *,
    quarter: str,
    as_of: Day | None = None,
    maturation_days: int = 90,
    coordinator: str | None = None,
    smallest_tie: int = SMALLEST_SHOWN_TIE,
) -> IntegrationMeasures:
    """Who delivers, coverage, the referral loop and payment, for one quarter.

    A measure whose tables are absent or hold nothing for the quarter is skipped: the reason is
    logged and kept in ``skipped``, so a report can say why it is not there.

    Parameters
    ----------
    tables : Tables or mapping of table name to DataFrame
        Uses `contract`, `organization`, `program_service`, `referral`, `payment`, `tie` (with
        `survey_response`, which says who answered), and `person`
        with ``race_ethnicity``. From `Tables`, services seen in `medical_claim` are added to the
        program records (`services_from_claims`); with a mapping, put them there yourself.
    quarter : str
        e.g. ``"2024Q4"``. Referrals made up to its last day enter.
    as_of : day, optional
        Day the referral loop and the payments are looked at: the extract date. Default: the last
        day of the quarter.
    maturation_days : int
        Age a referral must have for `referral_closure`; also the days over which `referral_times`
        follows it, which is left out where this is 0.
    coordinator : str, optional
        ``organization_id`` that is taken out of the referral network. Default: the organization
        that most shortest paths go through.
    smallest_tie : int
        Members a tie of the referral network must have; see `network_tables`.

    Returns
    -------
    IntegrationMeasures
        A dict of `RateTable` by name: ``delivery_organizations``, ``delivery_contracts``,
        ``delivery_members``, ``local_cbo_share``, ``coverage``, ``coverage_summary``,
        ``coverage_summary_two_or_more``, ``contracted_but_idle``, ``single_plan_dependence``,
        ``referral_funnel``, ``referral_closure``, ``referral_closure_by_service``,
        ``referral_closure_by_organization_type``, ``referral_times``,
        ``referral_times_by_organization_type``, ``referral_losses``, ``referral_findings``,
        ``payment_timeliness``, ``payment_denials``, ``contract_concentration``,
        ``plan_network_cohesion``, and the tables of `network_tables` and of
        `survey_network_tables`.

    Raises
    ------
    TableError
        A table that is there breaks its contract.
    EstimationError
        `quarter` or `as_of` cannot be read, or `as_of` lies before the quarter ends.
    """
    _, last = quarter_days(quarter)
    day = last if as_of is None else as_day(as_of, name="as_of")
    if day < last:
        raise EstimationError(
            "`as_of` lies before the last day of the quarter, which is then not complete.\n"
            "  Report an earlier quarter, or use a later extract."
        )
    made = IntegrationMeasures()
    frames = frames_of_quarter(tables, quarter=quarter, ledger=made.ledger)
    made.program_service = frames.get("program_service")
    recipes = {
        **_contract_recipes(quarter=quarter, ledger=made.ledger),
        **_referral_recipes(
            last=last, day=day, maturation_days=maturation_days, ledger=made.ledger
        ),
        **_payment_recipes(quarter=quarter, day=day, ledger=made.ledger),
    }
    for name, (needs, measure) in recipes.items():
        made.make(name, needs, measure, frames)
    _add_survey_network(made, frames, last=last)
    _add_network(made, frames, last=last, coordinator=coordinator, smallest_tie=smallest_tie)
    if "coverage" in made:
        made["coverage_summary"] = coverage_summary(made["coverage"])
        made["coverage_summary_two_or_more"] = coverage_summary(made["coverage"], at_least=2)
    else:
        for name in ("coverage_summary", "coverage_summary_two_or_more"):
            made.skipped[name] = made.skipped["coverage"]
    return made


def _contract_recipes(*, quarter: str, ledger: RowLedger) -> dict[str, Recipe]:
    """Who delivers and coverage: the tables each measure needs, and its call."""
    contracts, services = ("contract", "organization"), ("contract", "program_service")
    return {
        "delivery_organizations": (
            contracts,
            lambda f: delivery_organizations(
                f["contract"], f["organization"], quarter=quarter, ledger=ledger
            ),
        ),
        "delivery_contracts": (
            contracts,
            lambda f: delivery_contracts(
                f["contract"], f["organization"], quarter=quarter, ledger=ledger
            ),
        ),
        "delivery_members": (
            ("program_service", "organization"),
            lambda f: delivery_members(
                f["program_service"], f["organization"], quarter=quarter, ledger=ledger
            ),
        ),
        "local_cbo_share": (
            contracts,
            lambda f: local_cbo_share(
                f["contract"], f["organization"], quarter=quarter, ledger=ledger
            ),
        ),
        "coverage": (
            services,
            lambda f: service_coverage(
                f["contract"], f["program_service"], quarter=quarter, ledger=ledger
            ),
        ),
        "contracted_but_idle": (
            services,
            lambda f: contracted_but_idle(
                f["contract"], f["program_service"], quarter=quarter, ledger=ledger
            ),
        ),
        "single_plan_dependence": (
            contracts,
            lambda f: single_plan_dependence(
                f["contract"], f["organization"], quarter=quarter, ledger=ledger
            ),
        ),
        "contract_concentration": (
            ("contract",),
            lambda f: contract_concentration(f["contract"], quarter=quarter),
        ),
        "plan_network_cohesion": (
            ("contract",),
            lambda f: network_cohesion(f["contract"], quarter=quarter),
        ),
    }


def _add_network(
    made: IntegrationMeasures,
    frames: Mapping[str, pd.DataFrame],
    *,
    last: pd.Timestamp,
    coordinator: str | None,
    smallest_tie: int,
) -> None:
    """Tables of the referral network, all of one year's ties, or the reason why not."""
    absent = absent_tables(("referral", "organization"), frames)
    if absent:
        made.skipped.update(dict.fromkeys(NETWORK_TABLES, absent))
        return
    try:
        tables = network_tables(
            frames["referral"],
            frames["organization"],
            as_of=last,
            person=frames.get("person"),
            coordinator=coordinator,
            minimum_members=smallest_tie,
            ledger=made.ledger,
        )
    except EstimationError as error:
        made.skipped.update(dict.fromkeys(NETWORK_TABLES, str(error)))
        logger.info("the referral network is skipped: %s", error)
        return
    made.update(tables)
    if "referral_network_by_race" not in tables:
        made.skipped["referral_network_by_race"] = absent_tables(("person",), frames)
    if "referral_network_stability" not in tables:
        made.skipped["referral_network_stability"] = (
            f"the year before has no tie of {smallest_tie} members or more"
        )


def _add_survey_network(
    made: IntegrationMeasures, frames: Mapping[str, pd.DataFrame], *, last: pd.Timestamp
) -> None:
    """Networks of the latest survey wave, or the reason why not."""
    reason = absent_tables(("tie",), frames)
    if not reason:
        try:
            made.update(
                survey_network_tables(
                    frames["tie"],
                    as_of=last,
                    survey_response=frames.get("survey_response"),
                    ledger=made.ledger,
                )
            )
            reason = "the survey has one kind of tie, or one wave, only"
        except EstimationError as error:
            reason = str(error)
            logger.info("the survey's networks are skipped: %s", error)
    made.skipped.update({n: reason for n in SURVEY_NETWORK_TABLES if n not in made})


def _referral_recipes(
    *, last: pd.Timestamp, day: pd.Timestamp, maturation_days: int, ledger: RowLedger
) -> dict[str, Recipe]:
    """The referral loop: the tables each measure needs, and its call.

    Every table counts all services: were exempt ones left out of some, the difference between two
    tables would be a handful of members, and most groups would have to be hidden.
    """
    closure = partial(
        referral_closure,
        as_of=day,
        referred_to=last,
        maturation_days=maturation_days,
        exempt_services=(),
    )
    horizons = sorted({*(d for d in _DAYS if d < maturation_days), maturation_days})
    times = partial(_times_within, as_of=day, referred_to=last, days=horizons)
    return {
        "referral_funnel": (
            ("referral", "person"),
            lambda f: referral_funnel(
                f["referral"],
                as_of=day,
                referred_to=last,
                by="race_ethnicity",
                person=f["person"],
                ledger=ledger,
            ),
        ),
        "referral_closure": (
            ("referral", "person"),
            lambda f: closure(
                f["referral"], by="race_ethnicity", person=f["person"], ledger=ledger
            ),
        ),
        "referral_closure_by_service": (
            ("referral",),
            lambda f: closure(f["referral"], by="service"),
        ),
        "referral_closure_by_organization_type": (
            ("referral", "organization"),
            lambda f: closure(
                f["referral"], by="organization_type", organization=f["organization"]
            ),
        ),
        "referral_times": (
            ("referral", "person"),
            lambda f: times(f["referral"], by="race_ethnicity", person=f["person"], ledger=ledger),
        ),
        "referral_times_by_organization_type": (
            ("referral", "organization"),
            lambda f: times(f["referral"], by="organization_type", organization=f["organization"]),
        ),
        "referral_losses": (
            ("referral",),
            lambda f: referral_losses(
                f["referral"],
                as_of=day,
                referred_to=last,
                maturation_days=maturation_days,
                ledger=ledger,
            ),
        ),
        "referral_findings": (
            ("referral",),
            lambda f: referral_findings(
                f["referral"],
                as_of=day,
                organization=f.get("organization"),
                person=f.get("person"),
            ),
        ),
    }


def _times_within(referral: pd.DataFrame, *, days: list[int], **options: Any) -> RateTable:
    """Times from referral to service, where referrals are followed over some days."""
    if not days[-1]:
        raise EstimationError(
            "`maturation_days` is 0, so no day after referral is reached by all.\n"
            "  Give the days over which referrals are to be followed."
        )
    return referral_times(referral, days=days, **options)


def _payment_recipes(*, quarter: str, day: pd.Timestamp, ledger: RowLedger) -> dict[str, Recipe]:
    """Payment: the tables each measure needs, and its call."""
    needs = ("payment", "organization")
    return {
        "payment_timeliness": (
            needs,
            lambda f: payment_timeliness(
                f["payment"],
                as_of=day,
                quarter=quarter,
                by="organization_type",
                organization=f["organization"],
                ledger=ledger,
            ),
        ),
        "payment_denials": (
            needs,
            lambda f: payment_denials(
                f["payment"],
                as_of=day,
                quarter=quarter,
                by="organization_type",
                organization=f["organization"],
                ledger=ledger,
            ),
        ),
    }


def frames_of_quarter(
    tables: Tables | Mapping[str, pd.DataFrame],
    *,
    quarter: str,
    ledger: RowLedger,
    names: Sequence[str] = _TABLES,
    program_service: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Frames of the named tables that are there and hold rows.

    From `Tables`, services seen in claims are added to the program records, unless
    `program_service` has both.
    """
    if not isinstance(tables, (Tables, Mapping)):
        raise TableError(
            f"expected Tables or a mapping of table names to frames, got "
            f"`{type(tables).__name__}`.\n  Pass what read_tables() returned."
        )
    if isinstance(tables, Mapping):
        given = {name: tables[name] for name in names if name in tables}
    else:
        given = {
            name: tables.frame(name, columns=_COLUMNS.get(name))
            for name in names
            if tables.has(name) and (name != "program_service" or program_service is None)
        }
        if program_service is None and tables.has("medical_claim"):
            seen = services_from_claims(tables, quarter=quarter, ledger=ledger)
            records = [given["program_service"]] if "program_service" in given else []
            given["program_service"] = pd.concat([*records, seen], ignore_index=True)
    if program_service is not None:
        given["program_service"] = program_service
    return {name: frame for name, frame in given.items() if len(frame)}
