"""What may leave of the networks organizations report: no organization named, bounds beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.inputs import Day, as_day, take_columns
from calaim_eval.integration.organization_network.multiplexity import network_multiplexity
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.non_response import network_bounds
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.stability import tie_stability
from calaim_eval.integration.organization_network.survey_network import TieType, survey_network
from calaim_eval.results import RateTable, stack_rates
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.ledger import RowLedger

TIE_TYPES: tuple[TieType, ...] = FIELDS["tie_type"].values  # type: ignore[assignment]
SURVEY_NETWORK_TABLES = (
    "partner_network",
    "partner_network_multiplexity",
    "partner_network_stability",
)
"""Names of the tables of `survey_network_tables`; the last where there are two waves."""


def survey_network_tables(
    tie: pd.DataFrame,
    *,
    as_of: Day,
    survey_response: pd.DataFrame | None = None,
    ledger: RowLedger | None = None,
) -> dict[str, RateTable]:
    """Networks of the latest survey wave, in numbers over all organizations.

    What an organization says of its partners is said in confidence: no tie and no organization is
    listed.

    Parameters
    ----------
    tie : pd.DataFrame
        Columns of the table `tie`.
    as_of : day
        The latest wave begun by it is taken.
    survey_response : pd.DataFrame, optional
        Who answered: its organizations of the wave, where it has any; else those that report a
        tie.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.

    Returns
    -------
    dict of str to RateTable
        - ``partner_network``: keys ``tie_type``, ``rule`` (``"reported"``, ``"either"``,
          ``"both"``), ``measure`` (``"response"``, ``"density"`` and degree centralizations) and
          ``value``: ``"reported"``, and ``"lowest"`` and ``"highest"`` over all unseen ties;
          centralization has no ``"reported"`` below 70 % response;
        - ``partner_network_multiplexity``: tied pairs by kinds of tie;
        - ``partner_network_stability``: key ``tie_type``; ties kept, created and dissolved since
          the wave before.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No wave has begun by `as_of`.
    """
    waves = _waves(tie, as_day(as_of, name="as_of"))
    networks = _networks(tie, waves[-1], survey_response, ledger)
    tables = {"partner_network": _bounds(networks)}
    if len(networks) > 1:
        tables["partner_network_multiplexity"] = network_multiplexity(networks)
    if len(waves) > 1:
        tables |= _stability(_networks(tie, waves[-2], survey_response, None), networks)
    first = next(iter(networks.values()))
    note = (
        f"Survey wave of {waves[-1].date()}: {int(first.has_answered.sum())} of {first.n} "  # type: ignore[union-attr]
        "organizations that were named or answered, answered."
    )
    return {name: replace(t, notes=(*t.notes, note)) for name, t in tables.items()}


def _waves(tie: pd.DataFrame, day: pd.Timestamp) -> list[pd.Timestamp]:
    """Waves begun by the day, oldest first."""
    dates = take_columns(tie, table="tie", required=("wave_date",))["wave_date"].dropna()
    waves = sorted(d for d in dates.unique() if d <= day)
    if not waves:
        raise EstimationError(
            f"table `tie`: no survey wave had begun by {day.date()}.\n  Use a later day."
        )
    return [pd.Timestamp(w) for w in waves]


def _networks(
    tie: pd.DataFrame,
    wave: pd.Timestamp,
    survey_response: pd.DataFrame | None,
    ledger: RowLedger | None,
) -> dict[str, OrganizationNetwork]:
    """Network of each kind of tie of a wave, all over the same organizations."""
    answered = None
    if survey_response is not None:
        said = take_columns(
            survey_response,
            table="survey_response",
            required=("organization_id",),
            optional=("wave_date",),
        )
        of_wave = said.loc[said["wave_date"] == wave, "organization_id"].dropna()
        answered = list(of_wave.unique()) or None
    rows = take_columns(tie, table="tie", required=("wave_date", "tie_type"))
    there = set(rows.loc[rows["wave_date"] == wave, "tie_type"].dropna())
    return {
        kind: survey_network(tie, wave=wave, tie_type=kind, answered=answered, ledger=ledger)
        for kind in TIE_TYPES
        if kind in there
    }


def _bounds(networks: dict[str, OrganizationNetwork]) -> RateTable:
    """Response, density and centralization of each kind of tie, with their bounds."""
    rows: list[tuple[str, str, str, str, float, float]] = []
    for kind, network in networks.items():
        bounds = network_bounds(network)
        n, n_answered = float(bounds.n_organizations), float(bounds.n_answered)
        rows.append((kind, "reported", "response", "reported", n_answered, n))
        for k, measure in enumerate(bounds.measure):
            rule = str(bounds.rule[k])
            largest = _largest(n, str(measure), is_directed=rule == "reported")
            values = {
                "reported": bounds.reported[k],
                "lowest": bounds.low[k],
                "highest": bounds.high[k],
            }
            rows += [
                (kind, rule, str(measure), name, float(np.round(value * largest)), largest)
                for name, value in values.items()
                if np.isfinite(value)
            ]
    frame = pd.DataFrame(rows, columns=["tie_type", "rule", "measure", "value", "top", "of"])
    return network_rates(
        next(iter(networks.values())),
        "Networks that organizations report",
        frame[["tie_type", "rule", "measure", "value"]],
        frame["top"].to_numpy(),
        frame["of"].to_numpy(),
        names=("organizations_ties_or_sums", "possible_ones"),
        unit="share or index, 0 to 1",
        estimator="Density and Freeman centralization, with bounds for those who did not answer",
        reference="Huisman (2009), doi:10.21307/joss-2019-046",
    )


def _largest(n: float, measure: str, *, is_directed: bool) -> float:
    """Denominator of a measure of n organizations."""
    if measure == "density":
        return n * (n - 1) / (1 if is_directed else 2)
    return (n - 1) ** 2 if is_directed else (n - 1) * (n - 2)


def _stability(
    earlier: dict[str, OrganizationNetwork], later: dict[str, OrganizationNetwork]
) -> dict[str, RateTable]:
    """Ties of each kind in two waves."""
    kinds = [kind for kind in later if kind in earlier]
    try:
        tables = [tie_stability(earlier[kind], later[kind]) for kind in kinds]
    except EstimationError:
        return {}
    if not tables:
        return {}
    stacked = stack_rates(tables, key="tie_type", labels=kinds)
    stacked = replace(stacked, keys=stacked.keys[["tie", "tie_type"]], per=1.0)
    return {"partner_network_stability": stacked}
