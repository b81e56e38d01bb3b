"""What the doctor says of the format of a file."""

from pathlib import Path

import pytest
import soundfile
from synthetic import pair

from ampsim.doctor import loaded


@pytest.mark.parametrize(
    ("ending", "subtype", "severity", "word"),
    [
        ("mp3", "MPEG_LAYER_III", "warning", "MP3 leaves out"),
        ("ogg", "VORBIS", "warning", "Ogg Vorbis leaves out"),
        ("wav", "ULAW", "warning", "ULAW leaves out"),
        ("wav", "IMA_ADPCM", "warning", "IMA ADPCM leaves out"),
        ("wav", "PCM_16", "note", "PCM 16"),
        ("flac", "PCM_24", "ok", "PCM 24"),
        ("wav", "FLOAT", "ok", "FLOAT"),
    ],
)
def test_a_lossy_format_is_named(ending: str, subtype: str, severity: str, word: str, tmp_path: Path):
    take = pair(sample_rate=16000)
    path = tmp_path / f"take.{ending}"
    soundfile.write(path, list(zip(take.input, take.target, strict=True)), 16000, subtype=subtype)
    (found,) = loaded(str(path))[1]
    assert (found.severity, found.topic) == (severity, "format")
    assert word in found.text
