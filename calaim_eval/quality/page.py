"""The findings as one page for the custodian of the data: no other file, no script, prints well."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from calaim_eval.quality.check import QualityReport
from calaim_eval.quality.checks import CHECKS, GROUPS
from calaim_eval.quality.findings import Finding, Group
from calaim_eval.quality.masking import Masking, Shown, percent, share_of_large_plan
from calaim_eval.quality.page_charts import completeness_tables, month_bars, run_out_tables
from calaim_eval.quality.page_style import STYLE
from calaim_eval.quality.verdict import verdict_level, verdict_words
from calaim_eval.version import __version__

MOST_GROUPS = 10
_CODE = re.compile(r"`([^`]+)`")
_BADGES = {"stop": "Stop", "warn": "Warning", "note": "Note", "accepted": "Accepted"}
_DIMENSIONS = {"plan": "Plan", "county": "County", "code": "Code and reason", "feed": "Claims"}
_KEPT_INSIDE = (
    "Restricted: counts of members that went through no disclosure control. Keep this page where "
    "the data are."
)


def quality_page(
    report: QualityReport, *, title: str, made_from: Mapping[str, str], exact: bool = False
) -> str:
    """The page as HTML text.

    Parameters
    ----------
    report : QualityReport
    title : str
        Title of the study.
    made_from : mapping of str to str
        Names and hashes for the foot of the page.
    exact : bool
        Show counts of 1 to 10 people as they are, not as "1-10".
    """
    masking = Masking(exact=exact)
    parts = [
        _head(report, title),
        _contents(report, masking),
        _findings(report, masking),
        _completeness(report, masking),
        _run_out(report, masking),
        _clean_checks(report),
        _reading_guide(report, exact=exact),
        _foot(report, made_from),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Data quality: {escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _head(report: QualityReport, title: str) -> str:
    """Title, verdict and the numbers of findings."""
    level = verdict_level(report)
    n_notes = sum(f.severity == "note" and f.accepted is None for f in report.findings)
    n_clean = len(_clean(report))
    tiles = (
        ("stop", len(report.stops), "stop the study"),
        ("warn", len(report.warnings), "need a look"),
        ("note", n_notes, "notes"),
        ("accepted", len(report.accepted), "accepted"),
        ("clean", n_clean, "checks found nothing"),
    )
    shown = "".join(f'<li class="tile {kind}"><b>{n}</b> {words}</li>' for kind, n, words in tiles)
    return (
        f'<header><p class="kicker">Data quality</p><h1>{escape(title)}</h1>'
        f'<p class="verdict {level}"><strong>{escape(verdict_words(report))}</strong></p>'
        f'<ul class="tiles">{shown}</ul>'
        f"<p>Months {report.months[0]} to {report.months[1]}; files drawn on "
        f"{report.extract_date.isoformat()}; the study analyses up to {report.analysed_until}.</p>"
        f'<p class="restricted">{_KEPT_INSIDE}</p></header>\n'
    )


def _contents(report: QualityReport, masking: Masking) -> str:
    """Every finding in a line, worst first."""
    if not report.findings:
        return "<h2>Findings</h2><p>None.</p>\n"
    rows = "".join(_contents_row(i, f, masking) for i, f in enumerate(report.findings, start=1))
    return (
        "<h2>Findings, worst first</h2>\n<table class='list'><thead><tr>"
        "<th scope='col'>How serious</th><th scope='col'>Finding</th><th scope='col'>Table</th>"
        "<th scope='col' class='n'>Count</th><th scope='col' class='n'>Share</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>\n"
    )


def _contents_row(number: int, finding: Finding, masking: Masking) -> str:
    told = masking.part(finding, of_people=finding.check.is_about_people)
    return (
        f"<tr><td>{_badge(finding)}</td>"
        f'<td><a href="#finding-{number}">{prose(finding.check.title)}</a></td>'
        f"<td><code>{escape(finding.table)}</code></td>"
        f"<td class='n'>{told.n_words}</td><td class='n'>{told.share}</td></tr>"
    )


def _badge(finding: Finding) -> str:
    kind = "accepted" if finding.accepted is not None else finding.severity
    return f'<span class="badge {kind}">{_BADGES[kind]}</span>'


def _findings(report: QualityReport, masking: Masking) -> str:
    """Each finding with what to do and where it lies."""
    if not report.findings:
        return ""
    shown = "".join(_article(i, f, masking) for i, f in enumerate(report.findings, start=1))
    return f"<h2>What was found, and what to do</h2>\n{shown}"


def _article(number: int, finding: Finding, masking: Masking) -> str:
    check = finding.check
    columns = ", ".join(f"<code>{escape(column)}</code>" for column in finding.columns)
    told = masking.part(finding, of_people=check.is_about_people)
    amount = f"{told.n_words} of {told.of_words} {prose(check.of)} ({told.share})"
    facts = [
        ("How much", amount),
        ("Held against", _limits(finding, masking)),
        ("Table", f"<code>{escape(finding.table)}</code>"),
        ("Columns", columns or "all"),
        ("Accepted", escape(finding.accepted) if finding.accepted else ""),
        ("Next", prose(check.next_step)),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts if text)
    where = "".join(_where(finding, dimension, masking) for dimension in _DIMENSIONS)
    months = month_bars(finding, masking)
    kind = "accepted" if finding.accepted is not None else finding.severity
    return (
        f'<section class="finding {kind}" id="finding-{number}"><h3>{_badge(finding)} '
        f'{prose(check.title)}</h3><p class="id"><code>{check.id}</code></p>'
        f"<dl>{listed}</dl>{where}{months}</section>\n"
    )


def _limits(finding: Finding, masking: Masking) -> str:
    """The limits of a finding in words."""
    words = []
    for name, limit in (("warning", finding.warn_above), ("stop", finding.stop_above)):
        if limit is None or limit >= 1:
            words.append(f"no {name}" if name == "warning" else "never stops")
        else:
            words.append(f"{name} above {percent(limit)}")
    plan = finding.large_plan
    if plan is None:
        return ", ".join(words)
    alone = share_of_large_plan(finding, masking)
    return f"{', '.join(words)}; {escape(plan.name)} alone: {alone}"


def _where(finding: Finding, dimension: str, masking: Masking) -> str:
    """The plans, counties, codes or claims it lies in, largest share first."""
    groups = finding.by(dimension)
    if not groups or (len(groups) == 1 and dimension != "code"):
        return "" if not groups else _only(groups[0], dimension)
    if dimension == "code":
        groups = tuple(sorted(groups, key=lambda group: -group.n))
    told = masking.parts(groups, finding, of_people=finding.check.is_about_people)
    if not told:
        return f"<p>By {_DIMENSIONS[dimension].lower()}: not shown.</p>"
    pairs = list(zip(groups, told, strict=True))
    rows = "".join(_group_row(group, shown) for group, shown in pairs[:MOST_GROUPS])
    left = len(groups) - MOST_GROUPS
    more = f"<p class='more'>and {left} more; all are in quality.json.</p>" if left > 0 else ""
    head = "<th scope='col' class='n'>Count</th>"
    if dimension != "code":
        head += (
            "<th scope='col' class='n'>Share</th><th scope='col'><span class='sr'>Bar</span></th>"
        )
    caption = f"By {_DIMENSIONS[dimension].lower()}"
    return (
        f"<table class='groups'><caption>{caption}</caption><thead><tr>"
        f"<th scope='col'>{_DIMENSIONS[dimension]}</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{more}"
    )


def _only(group: Group, dimension: str) -> str:
    """A finding that lies in one place."""
    return f"<p>{_DIMENSIONS[dimension]}: {escape(group.name)} only.</p>"


def _group_row(group: Group, shown: Shown) -> str:
    row = f"<tr><th scope='row'>{escape(group.name)}</th><td class='n'>{shown.n_words}</td>"
    if group.dimension == "code":
        return f"{row}</tr>"
    is_hidden = shown.n is None or shown.of is None
    width = 0 if is_hidden else round(100 * group.share)
    return (
        f"{row}<td class='n'>{shown.share}</td>"
        f"<td class='bar'><i style='width:{width}%'></i></td></tr>"
    )


def _completeness(report: QualityReport, masking: Masking) -> str:
    """Lines per 1,000 member-months of each plan and month."""
    tables = completeness_tables(report.completeness, masking)
    if not tables:
        return (
            "<h2>Are a plan's claims complete?</h2><p>No claim lines fall in months of the panel, "
            "so this cannot be judged.</p>\n"
        )
    return (
        '<section class="wide"><h2>Are a plan\'s claims complete?</h2>'
        "<p>Each cell is a month of a plan: its lines per 1,000 member-months as a percentage of "
        "the plan's own running median of the 12 months before that were not flagged. "
        "<b class='key gap'>0 gap</b> no line at all; <b class='key drop'>&#9660; drop</b> far "
        "below; <b class='key surge'>&#9650; surge</b> far above; <b class='key arriving'>&hellip;"
        "</b> claims are still arriving; <b class='key small'>&middot;</b> too few members to "
        f"judge.</p>{tables}</section>\n"
    )


def _run_out(report: QualityReport, masking: Masking) -> str:
    """How complete the last months are."""
    if not report.run_out:
        return (
            "<h2>How complete are the last months?</h2><p>No line has a payment date, so this "
            "cannot be judged.</p>\n"
        )
    return (
        "<section><h2>How complete are the last months?</h2><p>Estimated from how lines arrived "
        "in earlier months, by months from service to payment (chain-ladder). Months below "
        f"{percent(report.rules.complete_share)} are marked; of few lines shares are rounded down "
        f"in large steps, of very few not shown (&middot;).</p>{run_out_tables(report, masking)}"
        "</section>\n"
    )


def _clean(report: QualityReport) -> list[str]:
    """Checks that looked and found nothing."""
    found = {finding.check.id for finding in report.findings}
    return [c for c in CHECKS if report.looked_at.get(c, 0) > 0 and c not in found]


def _clean_checks(report: QualityReport) -> str:
    """Checks that found nothing, and checks that had nothing to look at."""
    clean = set(_clean(report))
    blind = [c for c in CHECKS if report.looked_at.get(c, 0) == 0]
    blocks = []
    for heading, checks in GROUPS:
        names = [check.title for check in checks if check.id in clean]
        if names:
            blocks.append(f"<dt>{heading}</dt><dd>{_joined(names)}</dd>")
    nothing = f"<dl class='clean'>{''.join(blocks)}</dl>" if blocks else "<p>None.</p>"
    blind_words = _joined([CHECKS[c].title for c in blind])
    not_asked = (
        f"<p><b>Nothing to look at</b> (a table or column is not there, or no row is of the "
        f"kind): {blind_words}</p>"
        if blind
        else ""
    )
    return f"<section><h2>Checks that found nothing</h2>{nothing}{not_asked}</section>\n"


def _joined(names: Sequence[str]) -> str:
    return "; ".join(prose(name) for name in names) + "."


def prose(text: str) -> str:
    """Text as HTML; what stands in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _reading_guide(report: QualityReport, *, exact: bool) -> str:
    """What severities and masked counts mean."""
    masked = (
        "Counts are exact."
        if exact
        else 'Counts of 1 to 10 people or their rows are shown as "1-10", and a count from which '
        'one of these would follow as "not shown" (with <code>--exact</code> as they are).'
    )
    return (
        "<section><h2>How to read this page</h2><ul>"
        "<li><b>Stop</b>: the study does not run on until the data are mended, or the study file "
        "accepts the finding by its name under <code>[quality.accepted]</code> with a reason.</li>"
        "<li><b>Warning</b>: the study runs; somebody should know why it is so. A plan with at "
        "least 1,000 rows makes a warning on its own.</li>"
        "<li><b>Note</b>: there, and below the limits. Limits are changed in the study file.</li>"
        f"<li>{masked}</li>"
        "<li>Final lines are those left when voids, replacements and denials are settled.</li>"
        "</ul></section>\n"
    )


def _foot(report: QualityReport, made_from: Mapping[str, str]) -> str:
    """What the page was made from."""
    facts = {"calaim_eval": __version__, **made_from}
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>"
        for name, value in facts.items()
    )
    return f"<footer><h2>Made from</h2><dl>{rows}</dl></footer>\n"
