"""The page a data custodian signs: what a release holds, hides and rests on."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from calaim_eval.disclosure import Released
from calaim_eval.disclosure.folder import MANIFEST
from calaim_eval.disclosure.ledger import LEDGER_NAME, entry_seal
from calaim_eval.disclosure.reasons import REASONS
from calaim_eval.errors import MissingExtraError, OutputError
from calaim_eval.report.embedded.engine import require_engine
from calaim_eval.report.embedded.formats import to_html, to_pdf
from calaim_eval.report.render import publish
from calaim_eval.study import Study

_LAYOUTS = 6
_TABLES_NAMED = 3
_SHORT = 16
# Height above a line to write on, on paper.
_ROOM = "`#v(1.3em)`{=typst}"
_RESTRICTED = "Restricted: not to be published with the release"
_COLUMNS = {
    "events": "events",
    "time": "time",
    "residence_geography": "area",
    "race_ethnicity_combined": "race",
    "variable_interactions": "crossing",
}


def custody_file(study: Study, quarter: str) -> Path:
    """Where the counts of hidden rows by reason are kept; restricted."""
    return study.restricted / "custody" / f"{quarter}.json"


def write_custodian_log(study: Study, quarter: str) -> dict[str, Path]:
    """Write the page that a data custodian signs, as HTML and PDF, into restricted/custody.

    One page: policy and its hash, what was hidden and why, the audit's certificate, the
    guideline's score with its breakdown, the ledger's hash, lines to sign. It is restricted: the
    counts by reason would narrow hidden counts down.

    Parameters
    ----------
    study : Study
    quarter : str
        A quarter that was released.

    Returns
    -------
    dict[str, Path]
        `html` and `pdf`; `md` instead, where the extra ``report`` is not installed.

    Raises
    ------
    DisclosureError
        The release or the ledger was changed.
    OutputError
        The folder cannot be written.
    """
    folder = study.release_folder(quarter)
    released = Released.load(folder)
    reasons = _reasons(custody_file(study, quarter))
    digest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["content_sha256"]
    seal = entry_seal(folder.parent / LEDGER_NAME, digest)
    target = custody_file(study, quarter).parent
    target.mkdir(parents=True, exist_ok=True)
    stem = f"custodian_log_{quarter}"
    text = page_text(released, reasons, content_sha256=digest, seal=seal)
    meta = {
        "title": f"Disclosure log, {quarter}",
        "subtitle": f"{study.file.title} ({study.file.study_id})",
        "lang": "en",
        "toc": False,
        "notice": _RESTRICTED,
    }
    try:
        require_engine(("html", "pdf"))
    except MissingExtraError:
        path = target / f"{stem}.md"
        plain = text.replace(_ROOM, "")
        path.write_text(f"# {meta['title']}\n\n{meta['subtitle']}\n\n{plain}", encoding="utf-8")
        return {"md": path}
    with tempfile.TemporaryDirectory(
        prefix="calaim_eval-custody-", ignore_cleanup_errors=True
    ) as work:
        made = {
            "html": to_html(_for_screen(text), meta=meta, folder=Path(work), stem=stem),
            "pdf": to_pdf(_for_paper(text), meta=meta, folder=Path(work), stem=stem),
        }
        return publish(made, target)


def page_text(
    released: Released,
    reasons: Mapping[str, int],
    *,
    content_sha256: str,
    seal: tuple[int, str],
) -> str:
    """The page in Markdown."""
    certificate, made_from = released.certificate, released.provenance
    rules = released.policy_rules
    number, entry_hash = seal
    facts = {
        "Policy": f"{rules['title']} (`{released.policy}`)",
        "Rules": f"hash `{certificate['policy_sha256'][:_SHORT]}`; {_rules_in_words(rules)}",
        "Release": f"hash `{content_sha256[:_SHORT]}`, "
        f"{certificate['n_tables']} tables, {certificate['n_rows']:,} rows",
        "Ledger": f"entry {number}, hash `{entry_hash[:_SHORT]}`, of this and all earlier releases",
        "Made from": f"inputs `{_short(made_from, 'input_manifest_sha256')}`, study file "
        f"`{_short(made_from, 'study_file_sha256')}`, calaim_eval "
        f"{made_from.get('package_version', '')} `{_short(made_from, 'code_sha256')}`",
    }
    return "\n".join(
        [
            f"**{_RESTRICTED}.** How many rows are hidden for which reason narrows hidden counts "
            "down.",
            "",
            *_table(("", ""), facts.items(), align="|:--|:-------------|"),
            "",
            "# What is hidden",
            "",
            f"{certificate['n_suppressed_rows']:,} of {certificate['n_rows']:,} rows, each under "
            "its first reason:",
            "",
            *_table(("Reason", "Rows"), _reason_rows(reasons), align="|:-----------|----:|"),
            "",
            f"**Audit.** {_certificate_in_words(certificate)}",
            "",
            *_score_section(released.scores),
            *_signature(),
        ]
    )


def _rules_in_words(rules: Mapping[str, Any]) -> str:
    """The rules that matter most, and what is the study's own."""
    least = int(rules["min_count"])
    words = [f"counts of 1 to {least - 1} hidden" if least > 1 else "no count hidden for its size"]
    if rules["rounding"] != "none":
        words.append(f"counts rounded ({rules['rounding']} {rules['rounding_base']})")
    if rules["differs_from"]:
        words.append(f"own rules: {', '.join(rules['differs_from'])}")
    return "; ".join(words)


def _certificate_in_words(certificate: Mapping[str, Any]) -> str:
    """What was proved."""
    narrowest = certificate["narrowest_range"]
    n_cells = certificate["n_suppressed_cells"]
    if narrowest is None:
        found = "Nothing shown bounds a hidden small count, or none is hidden."
    else:
        found = (
            f"Of {n_cells:,} hidden counts, every one that could be small could still be any of at "
            f"least {int(narrowest) + 1} values, from all that is shown, earlier releases "
            f"included (asked for: a range of {certificate['range_required']:g})."
        )
    return f"{found} Fewest further rows: {certificate['search']}."


def _reason_rows(reasons: Mapping[str, int]) -> list[tuple[str, str]]:
    """Reasons in their order, with those that do not occur left out."""
    rows = [(r.capitalize(), f"{reasons[r]:,}") for r in REASONS if r in reasons]
    return rows or [("Nothing is hidden", "0")]


def _score_section(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """The score of the layouts, the highest first; tables of one layout share a row."""
    if not scores:
        return ["**Score.** The policy has none.", ""]
    layouts: dict[tuple[int, ...], list[str]] = {}
    for each in scores:
        layouts.setdefault(_points(each), []).append(str(each["table"]))
    highest = sorted(layouts.items(), key=lambda item: -item[0][-1])
    above = sum(not each["is_within_limit"] for each in scores)
    small = sum(bool(each["has_small_denominator"]) for each in scores)
    limit = scores[0]["limit"]
    rows = [
        (_named(tables), *(f"{p:d}" if p else "" for p in points[:-1]), f"{points[-1]}")
        for points, tables in highest[:_LAYOUTS]
    ]
    header = ("Tables", *_COLUMNS.values(), "other", "score")
    more = len(highest) - _LAYOUTS
    assumed = list(dict.fromkeys(words for each in scores for words in each["assumed"]))
    return [
        f"**Score.** {above} of {len(scores)} tables of counts are above {limit}, "
        f"{small} have a denominator under the guideline's limit. The score guides; small counts "
        "are hidden whatever it is.",
        "",
        *_table(header, rows, align="|:-------------------|" + "---:|" * (len(header) - 1)),
        "",
        (f"{more} lower layouts are in log.md. " if more > 0 else "")
        + (f"Taken where a table does not say: {'; '.join(assumed)}." if assumed else ""),
        "",
    ]


def _points(score: Mapping[str, Any]) -> tuple[int, ...]:
    """Points by column of the page, all others together, and the total."""
    own = {p["variable"]: int(p["score"]) for p in score["parts"]}
    named = [own.get(variable, 0) for variable in _COLUMNS]
    return (*named, int(score["total"]) - sum(named), int(score["total"]))


def _named(tables: Sequence[str]) -> str:
    """Names of the first tables, and how many more."""
    more = len(tables) - _TABLES_NAMED
    return ", ".join(tables[:_TABLES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _signature() -> list[str]:
    """Lines to sign."""
    line = "\\_" * 26
    return [
        "# Decision",
        "",
        "☐ may be released \u2003 ☐ may be released without the tables named here \u2003 "
        "☐ may not be released",
        "",
        "Remarks: " + "\\_" * 72,
        "",
        *_table(
            ("Prepared by", "Data custodian"),
            [
                (f"{_ROOM}Name {line}", f"{_ROOM}Name {line}"),
                (f"{_ROOM}Date {line}", f"{_ROOM}Date {line}"),
                (f"{_ROOM}Signature {line}", f"{_ROOM}Signature {line}"),
            ],
            align="|:-----|:-----|",
        ),
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, align: str) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", align]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _for_paper(text: str) -> str:
    """Type small enough for one sheet."""
    return (
        "```{=typst}\n#set text(size: 9.5pt)\n#set par(spacing: 1em)\n"
        "#show heading: set block(above: 1.2em, below: 0.7em)\n"
        "#show heading.where(level: 1): set text(size: 11pt)\n"
        "#show figure: set block(above: 0.8em, below: 0.8em)\n```\n\n" + text
    )


def _for_screen(text: str) -> str:
    """A page without a table of contents takes one column."""
    return (
        "```{=html}\n<style>.page { display: block; max-width: 54rem; margin: 0 auto; }\n"
        "@media print { body { font-size: 10pt; } }</style>\n```\n\n" + text
    )


def _reasons(path: Path) -> dict[str, int]:
    """Hidden rows by reason, over all tables."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise OutputError(
            f"{path}: the counts of hidden rows are missing. Release the quarter again."
        ) from None
    found: dict[str, int] = {}
    for row in content["hidden_rows"]:
        found[row["reason"]] = found.get(row["reason"], 0) + int(row["n_rows"])
    return found


def _short(made_from: Mapping[str, Any], name: str) -> str:
    """The beginning of a hash."""
    return str(made_from.get(name, ""))[:_SHORT] or "not given"
