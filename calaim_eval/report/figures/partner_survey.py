"""What partners answer: mean scores by role, type of organization and leadership."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import EXPOSED, INK, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import ORGANIZATION_TYPES, leadership_label, readable
from calaim_eval.report.numbers import interval, number
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

_ITEMS = {
    "survey_scores_by_role": "respondent_role",
    "survey_scores_by_organization_type": "organization_type",
    "survey_scores_by_leadership": "leadership",
}


def survey_score_groups(released: Released) -> Figure | Absent:
    """Mean scores with intervals, one panel a scale, groups under one another.

    Parameters
    ----------
    released : Released
        Uses `survey_scores_by_role`, `survey_scores_by_organization_type` and
        `survey_scores_by_leadership`; draws those the release holds.

    Returns
    -------
    Figure | Absent
        The dotted line is the mean of all respondents. A withheld group keeps its row.
    """
    parts = []
    for item, column in _ITEMS.items():
        found = find_item(released, item)
        if isinstance(found, Absent):
            continue
        need_columns(found, ("scale", column))
        rows = found.frame.rename(columns={column: "value"})
        parts.append(rows.assign(column=column))
    if not parts:
        return Absent("survey_scores_by_role")
    frame = _arranged(pd.concat(parts, ignore_index=True))
    n_withheld = int(frame["is_suppressed"].sum())
    return Figure(
        plot=_draw(frame),
        caption=(
            "Mean answers of respondents with 95% intervals, clustered by organization; the "
            "dotted line is the mean of all. By type and leadership of organization, each group "
            "is given the role mix of all respondents, since frontline staff answer higher than "
            "executives. An association, not an effect." + withheld_words(n_withheld, "score")
        ),
        alt_text=_alt_text(frame),
        width=WIDTH,
        height=1.0 + 0.25 * frame["group"].nunique(),
    )


def _label(column: str, value: str) -> str:
    if value == ALL:
        return "All respondents"
    if column == "organization_type":
        short = {"cbo": "Community-based organization"}
        return short.get(value, ORGANIZATION_TYPES.get(value, readable(value)))
    if column == "leadership":
        return leadership_label(value)
    return {"other": "Other role", "not_recorded": "Role not recorded"}.get(value, readable(value))


def _arranged(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the items, the mean of all once and on top."""
    is_all = frame["value"].eq(ALL)
    frame = frame[~(is_all & frame.duplicated(["scale", "value"]))]
    labels = [_label(c, v) for c, v in zip(frame["column"], frame["value"], strict=True)]
    order = list(dict.fromkeys(labels))
    return frame.assign(
        group=pd.Categorical(labels, categories=list(reversed(order)), ordered=True),
        panel=frame["scale"].map(readable),
        is_all=frame["value"].eq(ALL),
    )


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    shown = frame[~frame["is_suppressed"] & frame["estimate"].notna()]
    withheld = frame[frame["is_suppressed"]]
    middle = shown.groupby("panel", observed=True)["estimate"].mean()
    plot = (
        p9.ggplot(shown, p9.aes("estimate", "group"))
        + p9.geom_vline(
            p9.aes(xintercept="estimate"),
            data=shown[shown["is_all"]],
            colour=QUIET,
            linetype="dotted",
        )
        + p9.geom_segment(
            p9.aes(x="conf_low", xend="conf_high", yend="group"),
            data=shown[shown["conf_low"].notna()],
            colour=EXPOSED,
            size=0.9,
        )
        + p9.geom_point(p9.aes(shape="is_all"), colour=EXPOSED, fill="white", size=2.6)
        + p9.scale_shape_manual(values={True: "D", False: "o"})
    )
    if len(withheld):
        plot += p9.geom_label(
            p9.aes("estimate", "group"),
            data=withheld.assign(estimate=withheld["panel"].map(middle).astype(float)),
            label="not shown",
            colour=QUIET,
            fill="white",
            label_size=0,
            label_padding=0.1,
            size=8,
            fontstyle="italic",
        )
    return (
        plot
        + p9.facet_wrap("panel", ncol=2)
        + p9.labs(x="Points of the answer scale", y="")
        + report_theme()
        + p9.theme(axis_text_y=p9.element_text(size=8.5, colour=INK))
    )


def _alt_text(frame: pd.DataFrame) -> str:
    parts = []
    for panel, rows in frame.groupby("panel", sort=False, observed=True):
        words = "; ".join(f"{row['group']} {_score_words(row)}" for _, row in rows.iterrows())
        parts.append(f"{panel}: {words}.")
    return "Mean survey scores. " + " ".join(parts)


def _score_words(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return "not shown"
    bounds = interval(row["conf_low"], row["conf_high"], decimals=2, is_signed=False)
    return f"{number(row['estimate'], decimals=2)} ({bounds})"
