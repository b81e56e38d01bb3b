"""Files against the standard library's and SciPy's own writers and readers."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import wavfile
from synthetic import RATE, noise, write_pcm

from ampsim import AmpsimError
from ampsim.signals import audio

RAMP = (np.arange(-64, 64) / 64).astype(np.float32)  # exact at every bit depth used here, -1 included


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_pcm_wav_reads_to_its_values(tmp_path: Path, bits: int):
    file = audio.read(write_pcm(tmp_path / "ramp.wav", [RAMP, RAMP[::-1]], 48000, bits=bits))
    assert file.sample_rate == 48000
    assert file.samples.dtype == np.float32
    assert_array_equal(file.samples, np.stack([RAMP, RAMP[::-1]], axis=1))
    assert file.duration_s == 128 / 48000


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_float_wav_reads_to_its_values_above_full_scale_too(tmp_path: Path, kind: type):
    wavfile.write(tmp_path / "ramp.wav", 44100, (2 * RAMP).astype(kind))
    assert_array_equal(audio.read(tmp_path / "ramp.wav").channel(0), 2 * RAMP)


@pytest.mark.parametrize(("ending", "subtype"), [("flac", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_24")])
def test_flac_and_aiff_read_to_their_values(tmp_path: Path, ending: str, subtype: str):
    integers = np.round(RAMP.astype(np.float64) * 2**31).astype(np.int64).clip(-(2**31), 2**31 - 1).astype(np.int32)
    soundfile.write(tmp_path / f"ramp.{ending}", integers, 44100, subtype=subtype)
    assert_allclose(audio.read(tmp_path / f"ramp.{ending}").channel(0), RAMP, atol=0)


def test_24_bits_are_kept(tmp_path: Path):
    fine = np.array([1, -1, 3, 2**22 + 1], np.float64) / 2**23
    file = audio.read(write_pcm(tmp_path / "fine.wav", [fine], bits=24))
    assert_array_equal(file.channel(0) * 2**23, fine * 2**23)


@pytest.mark.filterwarnings("ignore:Chunk .non-data. not understood")  # PEAK, which libsndfile adds to float files
def test_float_wav_that_we_write_is_read_alike_by_scipy(tmp_path: Path):
    samples = 3 * noise(1000)
    audio.write(tmp_path / "out.wav", samples, RATE)
    rate, found = wavfile.read(tmp_path / "out.wav")
    assert rate == RATE
    assert_array_equal(found, samples)


@pytest.mark.parametrize("ending", ["flac", "aiff", "aif", "FLAC"])
def test_24_bit_files_that_we_write_come_back_to_half_a_step(tmp_path: Path, ending: str):
    samples = noise(1000)
    audio.write(tmp_path / f"out.{ending}", samples, RATE)
    assert_allclose(audio.read(tmp_path / f"out.{ending}").channel(0), samples, atol=2**-23)


def test_16_bit_wav_that_we_write_is_read_alike_by_the_standard_library(tmp_path: Path):
    audio.write(tmp_path / "out.wav", RAMP, RATE, subtype="PCM_16")
    with wave.open(str(tmp_path / "out.wav")) as file:
        found = np.frombuffer(file.readframes(1000), "<i2")
    assert_allclose(found / 32768, RAMP, atol=1 / 32768)


@pytest.mark.parametrize(
    "name", ["two words.wav", "Übersteuert größer.wav", "🎸🔥.wav", "dots.in.a.name.wav", "#[x].wav"]
)
def test_any_file_name_is_written_and_read(tmp_path: Path, name: str):
    audio.write(tmp_path / name, RAMP, RATE)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert_array_equal(audio.read(tmp_path / name).channel(0), RAMP)


def make_missing(path: Path) -> None:
    pass


def make_folder(path: Path) -> None:
    path.mkdir()


def make_text(path: Path) -> None:
    path.write_text("this is a text that someone called .wav\n" * 100)


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_header_only(path: Path) -> None:
    write_pcm(path, [RAMP[:0]])


def make_cut_in_header(path: Path) -> None:
    write_pcm(path, [RAMP])
    path.write_bytes(path.read_bytes()[:20])


def make_cut_in_wav_data(path: Path) -> None:
    write_pcm(path, [noise(10_000)])
    path.write_bytes(path.read_bytes()[:10_000])


def make_cut_flac(path: Path) -> None:
    soundfile.write(path, noise(50_000), RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:40_000])


SPOILT = {
    make_missing: "does not exist",
    make_folder: "is a folder",
    make_text: "is not audio",
    make_empty: "is not audio",
    make_header_only: "holds no audio",
    make_cut_in_header: "is not audio",
    make_cut_in_wav_data: "my take",
    make_cut_flac: "stops being readable",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_a_spoilt_file_is_named(tmp_path: Path, spoil):
    path = tmp_path / "my take.wav"
    spoil(path)
    with pytest.raises(AmpsimError, match=SPOILT[spoil]) as caught:
        audio.read(path)
    assert str(path) in str(caught.value)


def test_a_channel_that_is_not_there_is_refused(tmp_path: Path):
    mono, stereo = (audio.read(write_pcm(tmp_path / f"{number}.wav", [RAMP, RAMP[::-1]][:number])) for number in (1, 2))
    assert_array_equal(stereo.channel(1), RAMP[::-1])
    with pytest.raises(AmpsimError, match=r"2\.wav has 2 channels, counted from 0: there is no channel 2"):
        stereo.channel(2)
    with pytest.raises(AmpsimError, match=r"1\.wav has 1 channel \(number 0\): there is no channel 1"):
        mono.channel(1)
    with pytest.raises(AmpsimError, match="there is no channel -1"):
        stereo.channel(-1)


def test_sha256_is_that_of_the_published_test_vector(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert audio.sha256(tmp_path / "abc") == known


# ---- written ----


def test_nothing_is_left_when_the_writer_fails(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), audio.written(tmp_path / "out.wav", RATE) as file:  # noqa: PT012
        file.write(RAMP)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_file_appears_only_once_it_is_whole(tmp_path: Path):
    path = tmp_path / "out.wav"
    with audio.written(path, RATE) as file:
        file.write(RAMP)
        assert not path.exists()
    assert_array_equal(audio.read(path).channel(0), RAMP)


def test_an_existing_file_is_never_overwritten_unless_told(tmp_path: Path):
    path = tmp_path / "out.wav"
    audio.write(path, RAMP, RATE)
    before = path.read_bytes()
    with pytest.raises(AmpsimError, match=r"out\.wav exists; say overwrite=true"):
        audio.write(path, -RAMP, RATE)
    assert path.read_bytes() == before
    audio.write(path, -RAMP, RATE, overwrite=True)
    assert_array_equal(audio.read(path).channel(0), -RAMP)


def test_a_failure_while_overwriting_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "out.wav"
    audio.write(path, RAMP, RATE)
    with pytest.raises(RuntimeError), audio.written(path, RATE, overwrite=True) as file:  # noqa: PT012
        file.write(-RAMP)
        raise RuntimeError
    assert_array_equal(audio.read(path).channel(0), RAMP)
    assert [each.name for each in tmp_path.iterdir()] == ["out.wav"]


def test_an_ending_that_is_not_written_is_refused(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"out\.mp3: an output file ends in \.wav, \.flac, \.aiff, \.aif"):
        audio.write(tmp_path / "out.mp3", RAMP, RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_output_folder_is_made(tmp_path: Path):
    audio.write(tmp_path / "new" / "er" / "out.wav", RAMP, RATE)
    assert_array_equal(audio.read(tmp_path / "new" / "er" / "out.wav").channel(0), RAMP)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AmpsimError, match=r"file cannot be written to"):
        audio.write(tmp_path / "file" / "out.wav", RAMP, RATE)


def test_a_written_file_has_the_rights_of_any_new_file(tmp_path: Path):
    audio.write(tmp_path / "out.wav", RAMP, RATE)
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "out.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


# ---- destinations ----


def test_one_file_goes_to_one_or_into_a_folder(tmp_path: Path):
    source = write_pcm(tmp_path / "in.wav", [RAMP])
    (tmp_path / "folder").mkdir()
    assert audio.destinations(source, tmp_path / "out.flac") == [(source, tmp_path / "out.flac")]
    assert audio.destinations(source, tmp_path / "folder") == [(source, tmp_path / "folder" / "in.wav")]


def test_a_folder_goes_file_by_file_into_another(tmp_path: Path):
    source = tmp_path / "takes"
    source.mkdir()
    for name in ("b.wav", "a.flac", "notes.txt", "C.WAV"):
        (source / name).write_bytes(b"")
    found = audio.destinations(source, tmp_path / "out")
    assert [(path.name, output.relative_to(tmp_path).as_posix()) for path, output in found] == [
        ("C.WAV", "out/C.WAV"),
        ("a.flac", "out/a.flac"),
        ("b.wav", "out/b.wav"),
    ]


def test_an_output_that_is_the_input_is_refused_even_with_overwrite(tmp_path: Path):
    source = write_pcm(tmp_path / "in.wav", [RAMP])
    with pytest.raises(AmpsimError, match=r"in\.wav is the input itself"):
        audio.destinations(source, source, overwrite=True)
    with pytest.raises(AmpsimError, match="is the input folder itself"):
        audio.destinations(tmp_path, tmp_path, overwrite=True)
    with pytest.raises(AmpsimError, match="does not exist"):
        audio.destinations(tmp_path / "nothing.wav", tmp_path / "out.wav")


def test_an_existing_output_is_refused_before_anything_is_rendered(tmp_path: Path):
    source = tmp_path / "takes"
    source.mkdir()
    for name in ("a.wav", "b.wav"):
        write_pcm(source / name, [RAMP])
    (tmp_path / "out").mkdir()
    write_pcm(tmp_path / "out" / "b.wav", [RAMP])
    with pytest.raises(AmpsimError, match=r"b\.wav exists"):
        audio.destinations(source, tmp_path / "out")


# ---- levels ----


def test_levels_by_hand():
    square = np.array([0.5, -0.5, 0.5, -0.5], np.float32)
    sine = np.sin(2 * np.pi * np.arange(1000) / 100).astype(np.float32)
    assert audio.rms(square) == 0.5
    assert audio.rms(sine) == pytest.approx(1 / np.sqrt(2), rel=1e-6)
    assert audio.peak(np.array([0.25, -0.75], np.float32)) == 0.75
    assert audio.rms(square[:0]) == audio.peak(square[:0]) == 0
    assert audio.decibels(10) == pytest.approx(20)
    assert audio.decibels(0.5) == pytest.approx(-6.0206, abs=1e-4)
    assert audio.decibels(0) == -200


def test_rms_of_many_samples_does_not_lose_small_ones():
    samples = np.full(3_000_000, 0.1, np.float32)
    assert audio.rms(samples) == pytest.approx(float(np.float32(0.1)), rel=1e-9)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (41.3, "0:41.3"), (59.96, "1:00.0"), (61.04, "1:01.0"), (3725.5, "62:05.5")]
)
def test_clock(seconds: float, shown: str):
    assert audio.clock(seconds) == shown


def test_extensible_header_with_float_is_read(tmp_path: Path):
    """What many recorders write: WAVE_FORMAT_EXTENSIBLE, packed here by hand."""
    guid = struct.pack("<IHH", 3, 0, 16) + bytes([0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71])
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, RATE * 4, 4, 32, 22, 32, 0) + guid
    data = RAMP.astype("<f4").tobytes()
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert_array_equal(audio.read(tmp_path / "x.wav").channel(0), RAMP)


def test_a_file_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    soundfile.write(tmp_path / "long.flac", np.zeros((200_000, 2)), 8000)
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "0.001")
    sentence = (
        r"long\.flac \(0:25\.0\) would take 1\.6 MB of memory, and one file or setting may take 1\.0 MB: make it smaller, "
        r"or raise the limit \(AMPSIM_MEMORY_GB=1\)"
    )
    with pytest.raises(AmpsimError, match=sentence):
        audio.read(tmp_path / "long.flac")
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "1")
    assert audio.read(tmp_path / "long.flac").samples.shape == (200_000, 2)
    for wrong in ("much", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("AMPSIM_MEMORY_GB", wrong)
        with pytest.raises(AmpsimError, match=f"AMPSIM_MEMORY_GB={wrong}: it is a number of gigabytes above 0"):
            audio.read(tmp_path / "long.flac")


def test_levels_of_long_signals_are_those_of_numpy():
    samples = np.random.default_rng(0).standard_normal((2_500_000,)).astype(np.float32)
    assert audio.rms(samples) == pytest.approx(np.sqrt(np.mean(np.square(samples.astype(np.float64)))), rel=1e-12)
    assert audio.peak(-samples) == np.abs(samples).max()
    assert audio.rms(samples.reshape(-1, 2)) == pytest.approx(audio.rms(samples), rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_no_number_is_named(bad: float):
    samples = np.zeros(100, np.float32)
    audio.refuse_unsound("amp.nam", samples)
    samples[[60, 90]] = bad
    with pytest.raises(AmpsimError, match=r"amp\.nam plays NaN or infinity from 0:02\.6 on"):
        audio.refuse_unsound("amp.nam", samples, at=200, sample_rate=100)
    with pytest.raises(AmpsimError, match="from sample 260 on"):
        audio.refuse_unsound("amp.nam", samples, at=200)
