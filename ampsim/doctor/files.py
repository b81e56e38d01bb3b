"""What the command is given: one stereo file, or two mono ones."""

from ampsim import AmpsimError, counted
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
    direct = read(input, on_disk=True)
    if not target:
        if direct.samples.shape[1] < 2:
            raise AmpsimError(
                f"{direct.path} has 1 channel: name the amp's file too (target=amp.wav), or a stereo file with direct and amp"
            )
        source = Stereo(path=input, input_channel=input_channel, target_channel=target_channel)
        return source.take(direct), [written(direct)]
    amp = read(target, on_disk=True)
    files = [direct, amp]
    found = [written(file) for file in files]
    take = Pair(input=input, target=target, checks="warn").take(direct, amp)
    more = abs(len(direct.samples) - len(amp.samples))
    if more > LENGTHS_S * take.sample_rate:
        text = f"{direct.path} ends at {clock(direct.duration_s)} and {amp.path} at {clock(amp.duration_s)}"
        fix = "export both from the same start to the same end"
        found.append(
            Finding("error", "length", f"{text} ({counted(more, 'sample')} apart)", fix, values={"samples": more})
        )
    return take, found


LOSSLESS = ("PCM", "FLOAT", "DOUBLE", "ALAC", "DWVW")  # how libsndfile's names of such sample formats begin
LOSSY = {"MPEG": "MP3", "VORBIS": "Ogg Vorbis", "OPUS": "Opus"}  # others are named as libsndfile does


def written(file: AudioFile) -> Finding:
    """What the file's format costs: whether it is lossy, and how many bits it has."""
    with opened(file.path) as opening:
        container, subtype = opening.format, opening.subtype
    channels = file.samples.shape[1]
    text = (
        f"{file.path.name}: {f'{container} {subtype}'.replace('_', ' ')}, {file.sample_rate:,} Hz, {channels} channel"
        f"{'s' if channels > 1 else ''}, {clock(file.duration_s)}"
    )
    values = {"sample_rate": file.sample_rate, "channels": channels, "duration_s": file.duration_s}
    if not subtype.startswith(LOSSLESS):
        codec = LOSSY.get(subtype.partition("_")[0], subtype.replace("_", " "))
        text += f"; {codec} leaves out what ears miss in music, and the model learns what is left as the amp's sound"
        fix = "export it from the session again as WAV or FLAC; converting this file does not bring back what is lost"
        return Finding("warning", "format", text, fix, values=values)
    bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "ALAC_16": 16, "DWVW_12": 12, "DWVW_16": 16}.get(subtype, 24)
    values["bits"] = bits
    if bits < 24:
        return Finding("note", "format", text, "24 bits keep soft playing cleaner", values=values)
    return Finding("ok", "format", text, values=values)
