"""Says at the end how many members the panel's oracle was asked about."""

from __future__ import annotations


def pytest_terminal_summary(terminalreporter):
    reports = [
        each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])
    ]
    n_cases = sum(
        value
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "member cases"
    )
    if n_cases:
        terminalreporter.write_line(f"panel oracle: {n_cases:,} member cases compared")
