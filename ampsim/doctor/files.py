"""What the command is given: one stereo file, or two mono ones."""

from ampsim import AmpsimError
from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.sources import LENGTHS_S, Pair, Stereo
from ampsim.signals.audio import AudioFile, clock, opened, read


def loaded(
    input: str, target: str = "", *, input_channel: int = 0, target_channel: int = 1
) -> tuple[AudioPair, list[Finding]]:
    """The take of a stereo file (direct and amp in its channels), or of two mono files, and what their format says.

    Files of unequal length are cut to the shorter, which a finding tells.

    Raises:
        AmpsimError: a file is missing or not audio, has the wrong number of channels, or the rates differ.
    """
    direct = read(input)
    if not target:
        if direct.samples.shape[1] < 2:
            raise AmpsimError(
                f"{direct.path} has 1 channel: name the amp's file too (target=amp.wav), or a stereo file with direct and amp"
            )
        source = Stereo(path=input, input_channel=input_channel, target_channel=target_channel)
        return source.take(direct), [written(direct)]
    amp = read(target)
    files = [direct, amp]
    found = [written(file) for file in files]
    take = Pair(input=input, target=target, checks="warn").take(direct, amp)
    more = abs(len(direct.samples) - len(amp.samples))
    if more > LENGTHS_S * take.sample_rate:
        text = f"{direct.path} ends at {clock(direct.duration_s)} and {amp.path} at {clock(amp.duration_s)}"
        fix = "export both from the same start to the same end"
        found.append(Finding("error", "length", f"{text} ({more:,} samples apart)", fix, values={"samples": more}))
    return take, found


def written(file: AudioFile) -> Finding:
    with opened(file.path) as opening:
        kind = f"{opening.format} {opening.subtype}".replace("_", " ")
        bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16}.get(opening.subtype, 24)
    text = (
        f"{file.path.name}: {kind}, {file.sample_rate:,} Hz, {file.samples.shape[1]} channel"
        f"{'s' if file.samples.shape[1] > 1 else ''}, {clock(file.duration_s)}"
    )
    values = {
        "sample_rate": file.sample_rate,
        "channels": file.samples.shape[1],
        "duration_s": file.duration_s,
        "bits": bits,
    }
    if bits < 24:
        return Finding("note", "format", text, "24 bits keep soft playing cleaner", values=values)
    return Finding("ok", "format", text, values=values)
