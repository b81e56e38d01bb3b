"""From a source to a recording that is fit to train on: checked, without drift, aligned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ampsim import AmpsimError, counted
from ampsim.config.targets import build
from ampsim.recordings import channels, match
from ampsim.recordings.controls import Control
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair, Delay, FileRecord, Span, aligned, estimate_delay
from ampsim.recordings.sources import Source, Split
from ampsim.recordings.splits import split
from ampsim.signals.alignment import Timing, resampled, timing
from ampsim.signals.linear import FRAME_S

Notice = Callable[[str], None]
LEFT_S = 0.0001  # of delay that may be left in a recording beside what is left on purpose; see `Timing.samples`
SHORTEST_S = 2.0  # with less, only the samples themselves are looked at


@dataclass(frozen=True)
class Recording:
    """Takes that are fit to train on: checked, on one clock, their common delay taken out.

    Args:
        takes: input and target of each, (num_samples,), full scale at 1.
        delay: what was taken out.
        splits: how train, validation and test share the takes; see `Source`.
        findings: of the quick checks, of all takes.
        words: of a command that describe this recording, where it was loaded by some.
        controls: of the amp, where the takes were made at several settings of them.
    """

    takes: tuple[AudioPair, ...]
    delay: Delay
    splits: dict[str, Split]
    findings: tuple[Finding, ...] = ()
    words: tuple[str, ...] = ()
    controls: tuple[Control, ...] = ()

    @property
    def sample_rate(self) -> int:
        """In hertz."""
        return self.takes[0].sample_rate

    @property
    def duration_s(self) -> float:
        """Of all takes together, in seconds."""
        return sum(take.duration_s for take in self.takes)

    @property
    def files(self) -> list[FileRecord]:
        """The audio files that the takes came from."""
        return [record for take in self.takes for record in take.files]

    @property
    def digests(self) -> list[str]:
        """The SHA-256 of each file."""
        return [record.sha256 for record in self.files]

    def split(self, gap: int) -> dict[str, list[Span]]:
        """Spans for train, validation and test, at least `gap` samples between two splits of one take.

        Raises:
            AmpsimError: see `splits.split`.
        """
        return split(list(self.takes), self.splits, gap=gap)


def prepare(source: Source, *, notice: Notice = print) -> Recording:
    """Load, check and align a recording.

    Raises:
        AmpsimError: a file cannot be read; takes differ in rate, hold NaN or have no common delay; or, when checks are
            strict, a take has a fault that spoils training.
    """
    takes, findings = checked(takes_of(source), source, notice=notice)
    takes, delay = align(takes, source.delay, notice)
    return Recording(tuple(takes), delay, source.splits, tuple(findings), controls=source.known_controls)


def takes_of(source: Source) -> list[AudioPair]:
    """What the source holds, which may be someone's own.

    Raises:
        AmpsimError: as `Source.load`; or what it returns is no list of takes.
    """
    takes: Any = source.load()
    listed = takes if isinstance(takes, list | tuple) else []
    if not listed or not all(isinstance(take, AudioPair) for take in listed):
        held = (
            f" of {', '.join(sorted({type(take).__name__ for take in listed})) or 'nothing'}" if takes is listed else ""
        )
        raise AmpsimError(
            f"{type(source).__module__}.{type(source).__qualname__}: load() returned {type(takes).__name__}{held}, and has "
            "to return a list of AudioPair"
        )
    return list(listed)


def prepare_as_then(data: Mapping[str, Any], samples: int | None, *, notice: Notice) -> Recording:
    """The recording of a run, from its section `data`, with the delay that was taken out of it then.

    Another version may measure another delay, and a model hears what it learnt only at its own.

    Args:
        samples: that delay; None where it is not known.
    """
    set_then = {} if samples is None or "delay" not in data else {"delay": samples}
    return prepare(build({**data, **set_then}, "data"), notice=notice)


def checked(takes: list[AudioPair], source: Source, *, notice: Notice) -> tuple[list[AudioPair], list[Finding]]:
    """The takes that passed the quick part of the diagnosis, without drift where the source asks for that, and findings.

    Raises:
        AmpsimError: takes differ in rate, or hold NaN; or, when checks are strict, a take has a fault that spoils training.
    """
    rates = {take.sample_rate for take in takes}
    if len(rates) > 1:
        listed = ", ".join(f"{take.name} {take.sample_rate:,} Hz" for take in takes)
        example = f"`sox take.wav -r {takes[0].sample_rate} converted.wav`"
        raise AmpsimError(
            f"the takes differ in sample rate ({listed}): export all at one rate, or convert some ({example})"
        )
    looked = [quick(take) for take in takes]
    known = source.delay != "auto" or any(measured and measured.clear for _, measured in looked)
    if known:
        looked = [([mild(each) for each in found], measured) for found, measured in looked]
    found = [passed(take, *each, source, notice) for take, each in zip(takes, looked, strict=True)]
    return [take for take, _ in found], [each for _, findings in found for each in findings]


def mild(finding: Finding) -> Finding:
    """A delay that one take does not tell is no error where it is set, or where another take tells it."""
    if (finding.topic, finding.severity) != ("delay", "error"):
        return finding
    return replace(finding, severity="warning", fix="the delay that is set, or that of the other takes, is taken")


def quick(pair: AudioPair) -> tuple[list[Finding], Timing | None]:
    """What a look at the samples and at the timing says: seconds before training, that may save hours.

    Returns the findings, and the timing where the recording is fit to have one.
    """
    found = [Finding("note", "files", text) for text in pair.notes]
    if pair.duration_s < FRAME_S:
        text = f"{pair.name} holds {counted(len(pair.input), 'sample')} ({1000 * pair.duration_s:.3g} ms), "
        text += f"and levels are compared over {1000 * FRAME_S:.0f} ms"
        return [*found, Finding("error", "length", text, "record two or three minutes")], None
    if broken := [*channels.broken(pair)]:
        return [*found, *broken, *(each for each in channels.clipping(pair) if each.severity == "error")], None
    found += [*channels.clipping(pair), *channels.offset(pair), *channels.dropouts(pair), *match.swap(pair)]
    if pair.duration_s < SHORTEST_S:
        return found, None
    return [*found, *match.placed(pair, pair.timing)], pair.timing


def passed(
    take: AudioPair, findings: list[Finding], measured: Timing | None, source: Source, notice: Notice
) -> tuple[AudioPair, list[Finding]]:
    if source.drift == "correct" and measured and match.drifts(measured, take.duration_s):
        take, ppm = without_drift(take, measured)
        notice(f"{take.name}: a drift of {ppm:.2f} ppm is taken out")
        findings = [each for each in findings if each.topic != "drift"]
    errors = [each.sentence for each in findings if each.severity == "error"]
    if any(each.topic == "finite" for each in findings):
        raise AmpsimError(*errors)
    if errors and source.checks == "strict":
        raise AmpsimError(*errors, "(data.checks=warn goes on with a recording as it is)")
    for each in findings:
        if each.severity in ("error", "warning"):
            notice(f"warning: {each.sentence}")
        elif each.topic == "files":
            notice(each.sentence)
    return take, findings


def without_drift(take: AudioPair, measured: Timing) -> tuple[AudioPair, float]:
    """The take with its target on the input's clock, and the drift in ppm; what is left is measured and taken out too."""
    once = resampled(take.target, measured.drift_ppm, take.sample_rate)
    rest = timing([(take.input, once)], take.sample_rate)
    ppm = measured.drift_ppm + rest.drift_ppm
    return replace(take, target=resampled(take.target, ppm, take.sample_rate)), ppm


def align(takes: list[AudioPair], delay: int | str, notice: Notice) -> tuple[list[AudioPair], Delay]:
    """The takes with their common delay taken out: as configured or, for "auto", as estimated.

    Raises:
        AmpsimError: the takes have no clear delay, or several, and none is configured.
    """
    chosen = estimate_delay(takes) if delay == "auto" else configured(takes, int(delay), notice)
    if chosen.estimated:  # in the doctor's words, since most of what an amp does comes later than its response begins
        notice(f"the amp's response begins at {counted(chosen.samples, 'sample')} (estimated), which are taken out")
    else:
        lead = "leads" if chosen.samples < 0 else "lags"
        notice(
            f"the amp's signal {lead} the direct signal by {counted(abs(chosen.samples), 'sample')} (as configured); taken out"
        )
    if chosen.inverted:
        notice("the amp's signal is inverted against the direct signal, as many amps do; the model learns that too")
    return [aligned(take, chosen.samples) for take in takes], chosen


def configured(takes: list[AudioPair], samples: int, notice: Notice) -> Delay:
    """The delay that is set; the polarity, and what it is by measurement, where that is clear."""
    clear = [take.timing for take in takes if take.timing.clear]
    proper = min((each.samples for each in clear), default=samples)
    if proper - samples > LEFT_S * takes[0].sample_rate:
        notice(
            f"warning: data.delay={samples} leaves {counted(proper - samples, 'sample')} of the amp's delay in the recording, "
            "so that a model answers that late and an export is refused; data.delay=auto takes them out"
        )
    elif clear and samples > min(each.delay for each in clear) + 1:
        notice(
            f"warning: data.delay={samples} takes more out than the amp's delay of {min(each.delay for each in clear):.1f} "
            "samples, so that a model would have to answer before it hears; data.delay=auto leaves what it needs"
        )
    return Delay(samples, bool(clear) and clear[0].inverted, estimated=False)
