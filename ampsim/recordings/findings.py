"""What the doctor says: findings, and all of them about one take."""

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note", "ok"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "ok")


@dataclass(frozen=True)
class Finding:
    """One sentence about a recording: what, where and how much; and what to do about it.

    An error spoils training, a warning costs quality, a note is worth knowing, ok was looked at and is fine.
    """

    severity: Severity
    topic: str
    text: str
    fix: str = ""
    at_s: tuple[float, ...] = ()
    values: dict[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return f"{self.text}: {self.fix}" if self.fix else self.text


@dataclass(frozen=True)
class Diagnosis:
    """All findings about a take, worst first, and the curves that figures are drawn from."""

    name: str
    sample_rate: int
    duration_s: float
    findings: tuple[Finding, ...]
    curves: dict[str, Any] = field(default_factory=dict)

    def count(self, severity: Severity) -> int:
        return sum(each.severity == severity for each in self.findings)


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda each: SEVERITIES.index(each.severity)))
