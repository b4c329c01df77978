"""The access funnel as it would be if all groups had the same ages, sexes and risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import count_words
from calaim_eval.equity.access_funnel import funnel_members, stages_reached
from calaim_eval.equity.groups import UNKNOWN, as_groups, in_group_order
from calaim_eval.equity.members import last_groups
from calaim_eval.errors import EstimationError
from calaim_eval.panel import MemberMonths
from calaim_eval.panel.grouped import as_grouped
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.estimand import RATES_OF, RATES_WHERE
from calaim_eval.results.smallest_support import fewest_events

RISK_BAND = "risk_band"
IDENTIFIED, STAGE_BEFORE = "identified", "stage_before"
DIRECT = (
    "Direct standardization; binomial variance by band (Keiding N, Clayton D 2014. Stat Sci "
    "29(4):529-558. doi:10.1214/13-STS453)"
)
_BAND = "__band"


def standardized_funnel(
    panel: MemberMonths,
    *,
    service: str = "ecm",
    by: str = "race_ethnicity",
    bands: Sequence[str] = ("age_band", "sex"),
    first_ages: Sequence[int] | None = None,
    risk: pd.Series | None = None,
    stages: Sequence[str] | None = None,
    through: str | None = None,
    weights: Mapping[str, pd.Series] | None = None,
) -> EffectTable:
    r"""Share of members who reach each stage of access, directly standardized, by group.

    Use beside `access_funnel` to see whether a gap goes with who is in the groups (their ages,
    sexes, risks). Standardizing for what the inequity works through hides the inequity.

    Parameters
    ----------
    panel : MemberMonths
    service, by, through
        As in `access_funnel`.
    bands : sequence of str
        Grouping columns of the panel to standardize by, ``"age_band"`` among them, as of each
        member's last covered month. Few and wide: a group without members in one has no rate.
    first_ages : sequence of int, optional
        First ages of the bands of ``"age_band"`` after the lowest, such as ``(45,)``.
    risk : pd.Series, optional
        Band of risk of each member, indexed by `member_id`; standardized by too.
    stages : sequence of str, optional
        Nested stages in order, the first the whole; default those of `access_funnel`.
    weights : Mapping[str, pd.Series], optional
        Standard population by `share_of` ("identified", or a stage for the shares among those who
        reached it), by band; by tuples in order where there are several columns. Default: all
        members at that stage.

    Returns
    -------
    EffectTable
        Descriptive. Keys `by`, `component` (the stage) and `share_of`: "identified" (cumulative)
        or "stage_before" (conditional). 0 to 1, joint covariance; no "all" row, since members
        together are their own standard. NaN, with a note, for a group without members in a band
        of the standard; without standard error where a share is 0 or 1 in every band.

    Raises
    ------
    EstimationError
        A stage is absent, or a standard lacks a band or has one that no member identified is in,
        or `risk` has a member twice.
    DesignError
        As `access_funnel`.

    Notes
    -----
    :math:`\sum_b w_b\,x_{gb}/n_{gb}` with weights that add up to 1 and are taken as known. A
    member of band :math:`b` contributes :math:`w_b (x_i - \hat p_{gb})/n_{gb}`; the covariance is
    the sum of the products. Support is that of the smallest band, members of either outcome: a
    released rate rests on no cell that could not be released itself, so that it and the crude rate
    together give no small count away.

    References
    ----------
    .. [1] Keiding N, Clayton D (2014). Stat Sci 29(4):529-558. doi:10.1214/13-STS453
    """
    members, stages = _members(
        panel,
        service=service,
        by=by,
        bands=tuple(bands),
        first_ages=first_ages,
        risk=risk,
        stages=stages,
        through=through,
    )
    columns = [*bands, *([RISK_BAND] if risk is not None else [])]
    is_known = members[columns].ne(UNKNOWN).all(axis=1) if columns else members["identified"]
    n_unknown = int((~is_known).sum())
    members = members[is_known]
    if members.empty:
        raise EstimationError(
            f"standardized_funnel: no member identified has {' and '.join(columns)} recorded.\n"
            "  Standardize by bands that are."
        )
    counts = _counts(members, by=by, columns=columns, stages=stages)
    rows = [
        (stage, whole)
        for stage, whole in product(stages[1:], (IDENTIFIED, STAGE_BEFORE))
        if whole == IDENTIFIED or stage != stages[1]
    ]
    standards = {
        (stage, whole): _standard(counts, stages, stage, whole, columns=columns, given=weights)
        for stage, whole in rows
    }
    groups = list(counts.index.get_level_values(0).unique())
    parts = [_group(counts.loc[group], stages, standards) for group in groups]
    k = len(rows)
    covariance = np.zeros((k * len(groups), k * len(groups)))
    for at, part in enumerate(parts):
        covariance[at * k : (at + 1) * k, at * k : (at + 1) * k] = part[1]
    estimate = np.concatenate([part[0] for part in parts])
    flat = ~(np.diag(covariance) > 0)
    support = pd.concat([part[2] for part in parts], ignore_index=True)
    until = "" if through is None else f"_through_{through}"
    keys = pd.DataFrame(
        [(group, stage, whole) for group in groups for stage, whole in rows],
        columns=[by, "component", "share_of"],
    )
    return EffectTable(
        keys=keys,
        estimate=estimate,
        covariance=with_undefined(covariance, None, flat)[0],
        support=support,
        estimand=Estimand(
            f"Access to {'ECM' if service == 'ecm' else service.replace('_', ' ')}, standardized",
            "share who reach each stage, had the group the bands of all members",
            "share of members",
            is_causal=False,
        ),
        method=Method(
            "Directly standardized shares",
            {
                "service": service,
                "bands": tuple(columns),
                "first_ages": None if first_ages is None else tuple(first_ages),
                "standard": "all members at the stage" if weights is None else "as given",
                "through": through,
                RATES_OF: (f"members_reaching_stage_of_{service}{until}",),
                RATES_WHERE: {"stage": tuple(stages)},
            },
            DIRECT,
        ),
        notes=_notes(columns, estimate, flat, n_unknown=n_unknown),
    )


def _members(
    panel: MemberMonths,
    *,
    service: str,
    by: str,
    bands: tuple[str, ...],
    first_ages: Sequence[int] | None,
    risk: pd.Series | None,
    stages: Sequence[str] | None,
    through: str | None,
) -> tuple[pd.DataFrame, list[str]]:
    """Members identified with their group, bands and stages reached; the stages in order."""
    if first_ages is not None:
        panel = replace(as_grouped(panel), age_bands=tuple(first_ages))
    members = funnel_members(panel, service=service, by=by, through=through)
    reached = stages_reached(members)
    order = reached if stages is None else list(stages)
    absent = [stage for stage in order if stage not in reached]
    if absent or len(order) < 2 or order[0] != IDENTIFIED:
        raise EstimationError(
            f"standardized_funnel: `stages` are {order}; the panel has {reached}, and the first "
            f"is '{IDENTIFIED}'."
        )
    places = [reached.index(stage) for stage in order]
    if any(later <= earlier for earlier, later in pairwise(places)):
        raise EstimationError(
            f"standardized_funnel: `stages` are {order}, which are not nested in this order.\n"
            f"  Name each once, in the order {[s for s in reached if s in order]}."
        )
    if bands:
        own = last_groups(panel, by=list(bands))
        members = members.drop(columns=[b for b in bands if b in members and b != by])
        members = members.merge(own.drop(columns=by, errors="ignore"), on="member_id")
    if risk is not None:
        own = risk.set_axis(risk.index.astype("str"))
        if own.index.has_duplicates:
            raise EstimationError(
                "standardized_funnel: `risk` has a member twice.\n  Give each member one band."
            )
        members = members.assign(**{RISK_BAND: members["member_id"].map(own)})
        members = as_groups(members, [RISK_BAND])
    return members, order


def _counts(
    members: pd.DataFrame, *, by: str, columns: list[str], stages: list[str]
) -> pd.DataFrame:
    """Members who reached each stage (columns) by group and band (rows); every band of a group."""
    if not columns:
        members = members.assign(**{_BAND: "all"})
        columns = [_BAND]
    sums = members.groupby([by, *columns])[stages].sum().astype(float)
    order = in_group_order(pd.DataFrame({by: sums.index.get_level_values(0).unique()}), [by])[by]
    bands = sums.groupby(level=columns).sum().index
    tuples = [b if isinstance(b, tuple) else (b,) for b in bands]
    full = pd.MultiIndex.from_tuples([(g, *b) for g in order for b in tuples])
    return sums.reindex(full, fill_value=0.0)


def _standard(
    counts: pd.DataFrame,
    stages: list[str],
    stage: str,
    whole: str,
    *,
    columns: list[str],
    given: Mapping[str, pd.Series] | None,
) -> np.ndarray:
    """Weight of each band, adding up to 1."""
    base = stages[0] if whole == IDENTIFIED else stages[stages.index(stage) - 1]
    n_groups = counts.index.get_level_values(0).nunique()
    sizes = counts[base].to_numpy().reshape(n_groups, -1)
    if given is None:
        total = sizes.sum(axis=0)
        return np.asarray(total / max(total.sum(), 1.0))
    if base not in given:
        raise EstimationError(
            f"standardized_funnel: `weights` have no standard for '{base}'; they have "
            f"{sorted(given)}.\n  Give one for each stage that shares are taken from."
        )
    first = counts.index.get_level_values(0)[0]
    bands = list(counts.loc[first].index)
    weight = given[base].reindex(bands).to_numpy(dtype=float)
    lacking = int((~np.isfinite(weight) & (sizes.sum(axis=0) > 0)).sum())
    weight = np.nan_to_num(weight)
    if lacking or (weight < 0).any() or not weight.sum() > 0:
        raise EstimationError(
            f"standardized_funnel: the standard for '{base}' lacks {lacking} of {len(bands)} bands "
            f"of {', '.join(f'`{c}`' for c in columns)}, or is negative or 0 throughout."
        )
    others = given[base][~given[base].index.isin(bands)]
    n_empty = int((others > 0).sum())
    if n_empty:
        raise EstimationError(
            f"standardized_funnel: no member identified is in {n_empty} of the "
            f"{len(given[base])} bands of the standard for '{base}'.\n"
            "  Use wider bands, or a standard of the bands that members are in."
        )
    return np.asarray(weight / weight.sum())


def _group(
    counts: pd.DataFrame, stages: list[str], standards: Mapping[tuple[str, str], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Standardized shares of one group, their covariance and the support of each."""
    n = counts.to_numpy()
    # Members of a band by the last stage they reached: a member's influence follows from it.
    furthest = n - np.column_stack([n[:, 1:], np.zeros(len(n))])
    estimate, support = [], []
    influence = np.zeros((len(standards), *n.shape))
    for row, ((stage, whole), weight) in enumerate(standards.items()):
        at = stages.index(stage)
        base = 0 if whole == IDENTIFIED else at - 1
        size, reached = n[:, base], n[:, at]
        used = weight > 0
        if not used.any() or (size[used] == 0).any():
            estimate.append(np.nan)
            support.append((0.0, 0.0))
            influence[row] = np.nan
            continue
        share = np.divide(reached, size, out=np.zeros(len(n)), where=size > 0)
        each = np.divide(weight, size, out=np.zeros(len(n)), where=size > 0)
        estimate.append(float(weight @ share))
        for last in range(base, len(stages)):
            influence[row, :, last] = each * ((last >= at) - share)
        either = np.concatenate([reached[used], (size - reached)[used]])
        support.append((float(size[used].min()), float(fewest_events(either))))
    flat = influence.reshape(len(standards), -1)
    frame = pd.DataFrame(support, columns=["n_members", "n_events"]).assign(member_months=np.nan)
    return np.array(estimate), (flat * furthest.ravel()) @ flat.T, frame


def _notes(
    columns: list[str], estimate: np.ndarray, flat: np.ndarray, *, n_unknown: int
) -> tuple[str, ...]:
    """What a reader of the shares must know."""
    notes = [
        f"Standardized by {', '.join(columns) or 'nothing'} to all members at the stage the share "
        "is taken from. Members together are their own standard: their share is the crude one.",
        "A gap that goes away was one of who is in the groups, which need not make it fair.",
    ]
    if n_unknown:
        notes.append(
            f"Left out, {' or '.join(columns)} not recorded: {count_words(n_unknown)} members."
        )
    lost = int(np.isnan(estimate).sum())
    if lost:
        notes.append(
            f"{lost} of {len(estimate)} shares are missing: no member of the group in one of the "
            "bands, or at the stage before. Use fewer or wider bands."
        )
    only = int((flat & np.isfinite(estimate)).sum())
    if only:
        notes.append(
            f"{only} of {len(estimate)} shares have no standard error: nobody, or everybody, of "
            "every band reached the stage."
        )
    return tuple(notes)
