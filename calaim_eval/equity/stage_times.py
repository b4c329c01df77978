"""Time in the stages of access: curves, mean months, medians, and counts to release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.equity.groups import in_group_order
from calaim_eval.equity.stage_spells import REACHED
from calaim_eval.estimate.time_to_event.endings_by_time import endings_by_time
from calaim_eval.estimate.time_to_event.gray_test import gray_test
from calaim_eval.estimate.time_to_event.grouped_spells import N_ALIKE
from calaim_eval.estimate.time_to_event.incidence_table import (
    incidence_table,
    mean_time_table,
)
from calaim_eval.results import ALL, EffectTable, Estimand, Method, RateTable, stack
from calaim_eval.results.estimand import RATES_OF
from calaim_eval.results.intervals import wilson_interval

_KEYS = ("stage", "state", "months")


@dataclass(frozen=True, slots=True, eq=False)
class StageTimes:
    """Time in each stage by group.

    Attributes
    ----------
    curves : EffectTable
        Cumulative incidence. Keys `stage`, `by` ("all" first), `component` ("reached",
        "coverage_ended", other exits) and `within_months` (every month from 0 to the horizon);
        0 to 1. Joint covariance within a stage.
        The events of its support are those of the month with fewest, as of `mean_months`.
    mean_months : EffectTable
        Of the months up to the horizon: mean waiting, and mean after each ending. Keys `stage`,
        `by`, `component`; the components of a group add up to the horizon.
    counts : RateTable | None
        Members by what became of them by the horizon. Keys `by`, `stage`, `state` ("reached",
        exits, "waiting", "all") and `months` (of "reached": in which months, else "all");
        denominator the members followed, Wilson intervals. To be released in place of the curves.
        None where some are not followed over the horizon.
    by : str
    months : tuple[int, ...]
        Months to report; the last is the horizon.
    notes : tuple[str, ...]
    spells : Mapping[str, pd.DataFrame]
        By stage, members counted by group, months (`duration_months`) and ending (`cause`). Not
        to be released.
    """

    curves: EffectTable
    mean_months: EffectTable
    counts: RateTable | None
    by: str
    months: tuple[int, ...]
    notes: tuple[str, ...]
    spells: Mapping[str, pd.DataFrame]

    def at_months(self) -> EffectTable:
        """Cumulative incidence at the months to report, with its joint covariance.

        `effect_gap` and `effect_homogeneity` compare groups at them.
        """
        return self.curves.select(self.curves.keys["within_months"].isin(self.months))

    def medians(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Month by which half of all have got to the next stage, by stage and group.

        Returns
        -------
        pd.DataFrame
            `stage`, `by`, `median_months`, `conf_low`, `conf_high`: the first month in which the
            cumulative incidence, its upper and its lower limit (log-log scale) are at least one
            half. NaN where that is not by the horizon: with competing endings it may never be.
        """
        reached = self.curves.select(self.curves.keys["component"] == REACHED)
        frame = reached.to_frame()
        low, high = _log_log(frame["estimate"], frame["std_error"], conf_level)
        frame = frame.assign(low=low, high=high)
        rows = [
            {
                "stage": stage,
                self.by: group,
                "median_months": _first_half(mine, "estimate"),
                "conf_low": _first_half(mine, "high"),
                "conf_high": _first_half(mine, "low"),
            }
            for (stage, group), mine in frame.groupby(["stage", self.by], sort=False)
        ]
        return pd.DataFrame(rows)

    def gray_test(self) -> pd.DataFrame:
        """Gray's test that a stage ends as soon in all groups, by whole curves.

        Returns
        -------
        pd.DataFrame
            `stage`, `statistic`, `df`, `p_value`; NaN where nobody got to the next stage or there
            is one group. All groups are compared, "unknown" among them.
        """
        rows = []
        for stage, counted in self.spells.items():
            row = dict.fromkeys(("statistic", "df", "p_value"), np.nan)
            if (counted["cause"] == 1).any() and len(counted[self.by].unique()) > 1:
                row = gray_test(
                    counted["duration_months"].to_numpy(),
                    counted["cause"].to_numpy(),
                    counted[self.by].to_numpy(),
                    weights=counted[N_ALIKE].to_numpy(),
                )
            rows.append({"stage": stage, **row})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        stages = ", ".join(dict.fromkeys(self.curves.keys["stage"]))
        return f"<StageTimes by {self.by}: {stages}; up to {self.months[-1]} months>"

    def _repr_html_(self) -> str:
        table = self.at_months().to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"<p>{escape(repr(self))}</p>{table}<ul>{notes}</ul>"


def members_after_stage(service: str) -> str:
    """Name of the quantity: members followed from a stage on, by what became of them."""
    return f"members_after_stage_of_{service}"


def stage_times(
    spells: Mapping[str, pd.DataFrame],
    *,
    by: str,
    months: tuple[int, ...],
    outcomes: tuple[str, ...],
    options: Mapping[str, object],
    notes: tuple[str, ...],
) -> StageTimes:
    """Curves, means and counts of spells by stage, as `stage_spells` counts them."""
    service = str(options["service"])
    label = "ECM" if service == "ecm" else service.replace("_", " ")
    curves, means = [], []
    for counted in spells.values():
        groups = in_group_order(counted[[by]].drop_duplicates(), [by])[by].tolist()
        named = {**options, RATES_OF: (members_after_stage(service),)}
        curve = incidence_table(
            counted,
            cluster=None,
            group=counted[by],
            groups=groups,
            by=by,
            times=np.arange(months[-1] + 1),
            outcomes=outcomes,
            estimand=_estimand(f"Access to {label}: share by month", "share of members"),
            options=named,
            unit="months",
        )
        mean = mean_time_table(
            counted,
            cluster=None,
            group=counted[by],
            groups=groups,
            by=by,
            horizon=float(months[-1]),
            outcomes=outcomes,
            estimand=_estimand(f"Access to {label}: mean months", "months"),
            options=named,
            unit="months",
        )
        curves.append(_with_smallest_month(curve, counted, by=by, horizon=months[-1]))
        means.append(_with_smallest_month(mean, counted, by=by, horizon=months[-1]))
    # `component`: disclosure control reads such rows as parts of what the counts hold.
    names = {"outcome": "component", "months": "within_months"}
    return StageTimes(
        _by_stage(curves, list(spells), names, notes),
        _by_stage(means, list(spells), {}, notes),
        _counts(spells, by=by, months=months, outcomes=outcomes, options=options, notes=notes),
        by=by,
        months=months,
        notes=notes,
        spells=spells,
    )


def _estimand(name: str, unit: str) -> Estimand:
    """Description, not effect."""
    contrast = "members by time since the stage began, other endings competing"
    return Estimand(name, contrast, unit, is_causal=False)


def _with_smallest_month(
    table: EffectTable, counted: pd.DataFrame, *, by: str, horizon: int
) -> EffectTable:
    """The table with the fewest members of any month and ending as its events.

    A mean is a sum over months, two points of a curve differ by one: with the counts of longer
    stretches beside it, what few members did in a month would follow.
    """
    within = counted["duration_months"] <= horizon
    cause = counted["cause"].where(within, 0)
    month = counted["duration_months"].where(within & (cause > 0), horizon)
    both = pd.concat([counted.assign(**{by: ALL}), counted])
    number = both[N_ALIKE].groupby([both[by], pd.concat([month, month]), pd.concat([cause, cause])])
    fewest = number.sum().groupby(level=0).min()
    support = table.support.assign(n_events=table.keys[by].map(fewest).to_numpy(dtype=float))
    return replace(table, support=support)


def _by_stage(
    tables: list[EffectTable], stages: list[str], names: dict[str, str], notes: tuple[str, ...]
) -> EffectTable:
    """Tables of all stages under one another."""
    both = stack(tables, key="stage", labels=stages)
    keys = both.keys.drop(columns="unit").rename(columns=names)
    return replace(both, keys=keys, notes=(*notes, *both.notes))


def _counts(
    spells: Mapping[str, pd.DataFrame],
    *,
    by: str,
    months: tuple[int, ...],
    outcomes: tuple[str, ...],
    options: Mapping[str, object],
    notes: tuple[str, ...],
) -> RateTable | None:
    """Members by what became of them; None where some are lost sight of before the horizon."""
    blocks = []
    for stage, counted in spells.items():
        if ((counted["cause"] == 0) & (counted["duration_months"] < months[-1])).any():
            return None
        blocks.append(_stage_counts(counted, by, months, outcomes).assign(stage=stage))
    rows = pd.concat(blocks, ignore_index=True)
    n, total = (rows[c].to_numpy(dtype=float) for c in ("n", "total"))
    low, high = wilson_interval(n, total)
    is_whole = (rows["state"] == ALL).to_numpy()
    service = str(options["service"])
    return RateTable(
        measure=f"Time in the stages of access to {service.replace('_', ' ')}",
        keys=rows[[by, *_KEYS]],
        numerator=n,
        denominator=total,
        conf_low=np.where(is_whole, np.nan, low),
        conf_high=np.where(is_whole, np.nan, high),
        n_members=n,
        numerator_name=members_after_stage(service),
        denominator_name=members_after_stage(service),
        unit="share of members in the stage",
        kind="proportion",
        method=Method(
            "Proportion; Wilson interval",
            {**options, "follow_up": "everybody over the horizon"},
            "Wilson EB (1927). doi:10.1080/01621459.1927.10502953",
        ),
        margins=(by, "state", "months"),
        denominator_keys=(by, "stage"),
        notes=notes,
    )


def _stage_counts(
    counted: pd.DataFrame, by: str, months: tuple[int, ...], outcomes: tuple[str, ...]
) -> pd.DataFrame:
    """Rows of one stage: everybody, each ending, waiting, and when those reached were reached."""
    marks = endings_by_time(
        counted["duration_months"].to_numpy(),
        counted["cause"].to_numpy(),
        times=months,
        outcomes=outcomes,
    )
    wide = pd.DataFrame({mark: counted[N_ALIKE] * is_in for mark, is_in in marks.items()})
    wide.columns = range(len(marks))  # type: ignore[assignment]
    groups = pd.concat([wide.assign(group=counted[by]), wide.assign(group=ALL)])
    sums = groups.groupby("group", sort=False).sum()
    sums = in_group_order(sums.rename_axis(by).reset_index(), [by])
    blocks = [
        sums[[by]].assign(state=state, months=when, n=sums[at], total=sums[0])
        for at, (state, when) in enumerate(marks)
    ]
    long = pd.concat(blocks).rename_axis("row").sort_index(kind="stable")
    return long.reset_index(drop=True)


def _log_log(
    share: pd.Series, error: pd.Series, conf_level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a share on the log-minus-log scale, inside 0 to 1."""
    p, se = share.to_numpy(dtype=float), error.to_numpy(dtype=float)
    z = float(special.ndtri(0.5 + conf_level / 2))
    inside = (p > 0) & (p < 1)
    safe = np.where(inside, p, 0.5)
    shift = z * se / (safe * np.log(safe))
    low, high = (np.where(inside, safe ** np.exp(sign * -shift), p) for sign in (1, -1))
    return low, high


def _first_half(curve: pd.DataFrame, column: str) -> float:
    """First month in which a column is at least one half; NaN where none is."""
    months = curve.loc[curve[column] >= 0.5, "within_months"]
    return float(months.min()) if len(months) else np.nan
