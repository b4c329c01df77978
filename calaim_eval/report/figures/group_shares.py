"""Shares by race and ethnicity, one panel a stage: who is reached, whose loop is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import group_rows, rows_height
from calaim_eval.report.figures.theme import (
    EXPOSED,
    INK,
    QUIET,
    WIDTH,
    Figure,
    percent_ticks,
    report_theme,
)
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import (
    ACCESS_STAGES,
    REFERRAL_STEPS,
    ordered,
    race_label,
    wrap,
)
from calaim_eval.report.numbers import percent, plural
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable


def access_funnel(released: Released) -> Figure | Absent:
    """Share of identified members in each group who were reached, served, and served by a
    community-based organization.

    Parameters
    ----------
    released : Released
        Uses `access_funnel` (keys `race_ethnicity`, `stage`).

    Returns
    -------
    Figure | Absent
        The first stage, identified, is the denominator and is not drawn: it is 100%.
    """
    return _stages(
        find_item(released, "access_funnel"),
        key="stage",
        labels=ACCESS_STAGES,
        first="identified",
        caption=(
            "Share of the members identified as eligible who got this far, with 95% intervals. "
            "The dotted line is the share among all members."
        ),
        total="All members",
    )


def referral_steps_by_race(released: Released) -> Figure | Absent:
    """Share of referrals in each group that got to each step.

    Parameters
    ----------
    released : Released
        Uses `referral_funnel` (keys `race_ethnicity`, `step`).

    Returns
    -------
    Figure | Absent
    """
    return _stages(
        find_item(released, "referral_funnel"),
        key="step",
        labels=REFERRAL_STEPS,
        first="referred",
        caption=(
            "Share of referrals that got to each step, by race and ethnicity of the member, with "
            "95% intervals. The dotted line is the share among all referrals."
        ),
        total="All referrals",
    )


def closure_by_race(released: Released) -> Figure | Absent:
    """Share of matured referrals in each group that ended with services received.

    Parameters
    ----------
    released : Released
        Uses `referral_closure` (key `race_ethnicity`).

    Returns
    -------
    Figure | Absent
    """
    found = find_item(released, "referral_closure")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity",))
    frame = found.frame.assign(panel="Closed with services received")
    return _figure(
        frame,
        panels=["Closed with services received"],
        caption=(
            "Share of matured referrals closed with services received, by race and ethnicity of "
            "the member, with 95% intervals. The dotted line is the share among all referrals."
        ),
        total="All referrals",
    )


def _stages(
    found: ReleasedTable | Absent,
    *,
    key: str,
    labels: dict[str, str],
    first: str,
    caption: str,
    total: str,
) -> Figure | Absent:
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", key))
    frame = found.frame
    frame = frame[frame[key] != first]
    stages = ordered(frame[key], order=tuple(labels))
    names = {stage: wrap(labels.get(stage, stage), width=17) for stage in stages}
    frame = frame.assign(panel=frame[key].map(names))
    return _figure(frame, panels=list(names.values()), caption=caption, total=total)


def _figure(frame: pd.DataFrame, *, panels: list[str], caption: str, total: str) -> Figure:
    frame = group_rows(
        frame.assign(panel=pd.Categorical(frame["panel"], categories=panels, ordered=True)),
        width=36,
        total=total,
    )
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    return Figure(
        plot=_draw(frame, columns=columns),
        caption=caption + withheld_words(int(frame["is_suppressed"].sum()), "share"),
        alt_text=_alt_text(frame),
        width=WIDTH,
        height=0.7 + rows * (0.55 + rows_height(frame)),
    )


def _draw(frame: pd.DataFrame, *, columns: int) -> ggplot:
    import plotnine as p9

    frame = frame.assign(share=_as_share(frame))
    scale = (frame["share"] / frame["rate"]).fillna(1.0)
    frame = frame.assign(low=frame["conf_low"] * scale, high=frame["conf_high"] * scale)
    shown = frame[frame["share"].notna()]
    overall, withheld = shown[shown["is_all"]], frame[frame["is_suppressed"]]
    plot = p9.ggplot(shown, p9.aes("share", "group")) + p9.geom_blank(data=_corners(frame))
    if len(overall):
        plot += p9.geom_vline(
            p9.aes(xintercept="share"), data=overall, colour=EXPOSED, linetype="dotted", size=0.8
        )
    if len(withheld):
        plot += p9.geom_label(
            p9.aes(y="group"),
            data=withheld,
            x=0,
            label="not shown",
            ha="left",
            colour=QUIET,
            fill="white",
            label_size=0,
            label_padding=0.1,
            size=8,
            fontstyle="italic",
        )
    return (
        plot
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="group"), colour=EXPOSED, size=0.9)
        + p9.geom_point(p9.aes(shape="is_all", size="is_all"), colour=EXPOSED, fill=EXPOSED)
        + p9.scale_shape_manual(values={False: "o", True: "D"})
        + p9.scale_size_manual(values={False: 2.0, True: 2.8})
        + p9.scale_x_continuous(
            breaks=[0, 0.25, 0.5, 0.75, 1] if columns == 1 else [0, 0.5, 1],
            labels=percent_ticks,
        )
        + p9.facet_wrap("panel", ncol=columns, scales="fixed")
        + p9.labs(x="Share", y="")
        + report_theme()
        + p9.theme(axis_text_y=p9.element_text(size=9, colour=INK))
    )


def _corners(frame: pd.DataFrame) -> pd.DataFrame:
    """Invisible points at 0 and 100%, so that every panel has the same honest scale."""
    return pd.concat([frame.assign(share=0.0), frame.assign(share=1.0)], ignore_index=True)


def _as_share(frame: pd.DataFrame) -> pd.Series:
    """Numerator over denominator, 0 to 1; missing where withheld or undefined."""
    share = frame["numerator"] / frame["denominator"].where(frame["denominator"] > 0)
    return share.where(~frame["is_suppressed"])


def _alt_text(frame: pd.DataFrame) -> str:
    """Each panel's overall share and the range of its groups; the table beside it has them all."""
    frame = frame.assign(share=_as_share(frame))
    parts = []
    for panel, rows in frame.groupby("panel", sort=False, observed=True):
        groups = rows[~rows["is_all"] & rows["share"].notna()].sort_values("share")
        words = [f"overall {percent(s)}" for s in rows.loc[rows["is_all"], "share"].dropna()]
        if len(groups):
            ends = [groups.iloc[0], groups.iloc[-1]]
            words.append(
                "groups from "
                + " to ".join(
                    f"{percent(e['share'])} ({race_label(e['race_ethnicity'])})" for e in ends
                )
            )
        if hidden := int(rows["is_suppressed"].sum()):
            words.append(f"{plural(hidden, 'group')} not shown")
        parts.append(f"{' '.join(str(panel).split())}: {'; '.join(words) or 'nothing is shown'}.")
    return "Shares by race and ethnicity with 95% intervals. " + " ".join(parts)
