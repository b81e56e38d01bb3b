"""Contiguous splits of a recording, with a gap as long as the model's memory between them."""

import math

import numpy as np

from ampsim import AmpsimError
from ampsim.files import rejoined
from ampsim.recordings.channels import SILENT_DB
from ampsim.recordings.pairs import AudioPair, Span
from ampsim.recordings.sources import SPLITS, Split
from ampsim.signals.audio import Signal, clock, decibels

SOUND_DB = -50.0  # re the whole recording, RMS; what is softer is hiss, and an ESR of it can be anything


def split(takes: list[AudioPair], splits: dict[str, Split], *, gap: int) -> dict[str, list[Span]]:
    """Contiguous spans for train, validation and test, with `gap` samples between two splits of one take.

    Takes that a split names belong to it whole. The others form one timeline, in order: training from its start, test
    at its end, validation before that. A share of training is cut to what the others leave. Where takes have settings, each
    is a timeline of its own, so that every split has all settings.

    Raises:
        AmpsimError: a split names a take that is not there or that another has, the shares exceed the recording, or
            a split is left without audio, or without sound; or where takes have settings, one of them is.
    """
    named = {name: takes_named(takes, names, name) for name, names in splits.items() if isinstance(names, list)}
    taken = [take.name for chosen in named.values() for take in chosen]
    if len(set(taken)) < len(taken):
        raise AmpsimError(f"data.splits gives a take to two splits: {', '.join(sorted(taken))}")
    spans = {name: [Span(take, 0, len(take.input)) for take in chosen] for name, chosen in named.items()}
    rest = [take for take in takes if take.name not in taken]
    shares = {name: share for name, share in splits.items() if name not in named}
    for timeline in timelines(rest):
        for name, (start, stop) in bounds(timeline, shares, gap=gap).items():
            spans[name] = [*spans.get(name, []), *cut(timeline, start, stop)]
    # A gap, so that the model's memory of one split never reaches the next.
    minimum = max(gap, 1)
    for name in SPLITS:
        if max(map(len, spans[name]), default=0) < minimum:
            available = sum(map(len, spans[name])) / takes[0].sample_rate
            raise AmpsimError(
                f"the recording is too short: {name} would hold {available:.1f} s in one piece, less than the model's memory "
                f"of {minimum:,} samples ({minimum / takes[0].sample_rate:.2f} s): record more, or change "
                f"data.splits.{name} or the model's window"
            )
    refuse_lost(named, rest if "train" in shares else [], spans, minimum)
    found = {name: [span for span in spans[name] if len(span) >= minimum] for name in SPLITS}
    refuse_silence(found, takes)
    for setting in {take.setting: None for take in takes if take.setting}:
        own = {name: [span for span in spans if span.take.setting == setting] for name, spans in found.items()}
        refuse_silence(own, [take for take in takes if take.setting == setting])
    return found


def refuse_lost(
    named: dict[str, list[AudioPair]], rest: list[AudioPair], spans: dict[str, list[Span]], minimum: int
) -> None:
    """A take at a setting of its own that is too short for its split: nobody would miss it until the setting is played."""
    for name, chosen in (*named.items(), ("train", rest)):
        for take in chosen:
            size = max((len(span) for span in spans[name] if span.take is take), default=0)
            if take.setting and size < minimum:
                raise AmpsimError(
                    f"{take.name} is too short: {name} would hold {size / take.sample_rate:.1f} s of it, less than the model's "
                    f"memory of {minimum:,} samples ({minimum / take.sample_rate:.2f} s), and its setting would be lost: "
                    f"record more of it, take it out, or change data.splits.{name} or the model's window"
                )


def timelines(takes: list[AudioPair]) -> list[list[AudioPair]]:
    return [[take] for take in takes] if any(take.setting for take in takes) else [takes]


def refuse_silence(splits: dict[str, list[Span]], takes: list[AudioPair]) -> None:
    """A split in which nothing sounds, in the direct signal or in the amp's, can neither teach nor be scored."""
    rate = takes[0].sample_rate
    for side, attribute in (("the direct signal", "input"), ("the amp's signal", "target")):
        usual = alternating([getattr(take, attribute) for take in takes])
        silent = []
        for name, spans in splits.items():
            level = alternating([getattr(span.take, attribute)[span.start : span.stop] for span in spans])
            if spans and level <= max(usual * 10 ** (SOUND_DB / 20), 10 ** (SILENT_DB / 20)):
                times = [
                    f"{clock(span.start / rate)} to {clock(span.stop / rate)} of {span.take.name}" for span in spans
                ]
                silent.append(f"{name} ({', '.join(times)}: {decibels(level):.0f} dBFS)")
        if silent:
            raise AmpsimError(
                f"nothing sounds in {side} in {' and '.join(silent)}; the whole recording has {decibels(usual):.0f} dBFS: "
                "cut the silence off the files, or change data.splits"
            )


def alternating(signals: list[Signal]) -> float:
    """RMS of signals, each without its mean: a constant is no sound."""
    total = sum(float(np.var(each, dtype=np.float64)) * len(each) for each in signals if len(each))
    return math.sqrt(total / max(sum(map(len, signals)), 1))


def takes_named(takes: list[AudioPair], names: list[str], split_name: str) -> list[AudioPair]:
    known = {take.name: take for take in takes}
    plain = {as_typed(name): name for name in known}  # a command's grammar takes spaces off, and divides at commas
    names = [
        name if name in known else plain.get(as_typed(name), name)
        for name in rejoined(names, lambda name: name in known or as_typed(name) in plain)
    ]
    for name in names:
        if sum(take.name == name for take in takes) > 1:
            raise AmpsimError(
                f"data.splits.{split_name} names {name}, which several takes are called: rename the files"
            )
        if name not in known:
            raise AmpsimError(f"data.splits.{split_name} names {name}; the takes are {', '.join(known)}")
    return [known[name] for name in names]


def as_typed(name: str) -> str:
    return ",".join(piece.strip() for piece in name.split(","))


def bounds(takes: list[AudioPair], shares: dict[str, Split], *, gap: int) -> dict[str, tuple[int, int]]:
    """Start and stop of each share on the timeline of all takes, one after another."""
    if not shares:
        return {}
    total = sum(len(take.input) for take in takes)
    if not total:
        raise AmpsimError(f"data.splits leaves no take for {', '.join(shares)}")
    lengths = {name: share_length(share, total, takes[0].sample_rate, name) for name, share in shares.items()}
    held_out = sum(length for name, length in lengths.items() if name != "train")
    if held_out >= total or (isinstance(shares.get("train"), str) and sum(lengths.values()) > total + 1):
        asked = ", ".join(f"{name} {length / takes[0].sample_rate:.1f} s" for name, length in lengths.items())
        raise AmpsimError(f"data.splits asks for {asked}; the recording has {total / takes[0].sample_rate:.1f} s")
    found: dict[str, tuple[int, int]] = {}
    end = total
    for name in ("test", "validation"):
        if name in lengths:
            found[name] = (max(end - lengths[name], 0), end)
            end = found[name][0] - gap
    if "train" in lengths:
        found["train"] = (0, max(min(lengths["train"], end), 0))
    return found


def share_length(share: Split, total: int, sample_rate: int, name: str) -> int:
    if isinstance(share, str):
        number, _, unit = share.strip().partition("s")
        try:
            seconds = float(number)
        except ValueError:
            seconds = -1.0
        if seconds > 0 and not unit and "s" in share:
            return round(seconds * sample_rate)
    elif not isinstance(share, bool) and isinstance(share, int | float) and 0 < share <= 1:
        return int(share * total)
    raise AmpsimError(f'data.splits.{name} is a share up to 1 (0.8), a time ("30 s") or a list of takes, not {share!r}')


def cut(takes: list[AudioPair], start: int, stop: int) -> list[Span]:
    spans, offset = [], 0
    for take in takes:
        first, last = max(start - offset, 0), min(stop - offset, len(take.input))
        if first < last:
            spans.append(Span(take, first, last))
        offset += len(take.input)
    return spans
