"""The embedded recording: what is played, what the amp does to it, and the cache."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from ampsim.recordings import virtual_amp

RATE = 44100
QUIET = {"noise_db": -np.inf, "room_db": -np.inf}


def sine(hz: float, level_db: float, *, duration_s: float = 2.0) -> np.ndarray:
    time_s = np.arange(round(duration_s * RATE)) / RATE
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(samples, dtype=float)) + 1e-30)


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Power per hertz of the last second; a sine of a whole number of hertz falls into exactly one bin."""
    return np.abs(np.fft.rfft(samples[-RATE:].astype(float))) ** 2


def amp_of(direct: np.ndarray, **settings: float) -> np.ndarray:
    return virtual_amp.amplify(direct, RATE, **{**QUIET, **settings})


def record(**settings: object) -> tuple[np.ndarray, np.ndarray]:
    return virtual_amp.record(**{"duration_s": 0.5, "sample_rate": 8000, **settings})


@pytest.fixture(scope="module")
def direct() -> np.ndarray:
    return virtual_amp.guitar(30.0, RATE, seed=0)


@pytest.fixture(scope="module")
def amp(direct: np.ndarray) -> np.ndarray:
    return virtual_amp.amplify(direct, RATE)


# ---- the guitar ----


def test_the_same_seed_plays_the_same_and_another_seed_does_not():
    first, again, other = (virtual_amp.guitar(2.0, RATE, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert np.corrcoef(first, other)[0, 1] < 0.5


def test_neither_channel_clips(direct: np.ndarray, amp: np.ndarray):
    assert 0.3 < np.abs(direct).max() < 0.75
    assert 0.5 < np.abs(amp).max() < 0.95


def test_every_slice_of_fifteen_seconds_is_loud_and_quiet_and_silent(direct: np.ndarray):
    frames_db = np.array([level_db(frame) for frame in direct[: 30 * RATE].reshape(-1, RATE // 20)])  # 50 ms each
    for start in range(0, 15 * 20 + 1, 10):
        piece = frames_db[start : start + 15 * 20]
        assert np.mean(piece > -25) > 0.15
        assert np.mean((piece > -60) & (piece < -35)) > 0.05
        assert np.mean(piece < -90) > 0.05


def test_a_note_has_its_pitch_and_a_bent_one_ends_two_semitones_higher():
    rng = np.random.default_rng(0)
    straight = virtual_amp.Note(0.0, 2.0, pitch=57, level_db=0.0)
    bent = virtual_amp.Note(0.0, 2.0, pitch=57, level_db=0.0, bend=2.0)
    played = [virtual_amp._pluck(note, RATE, rng)[RATE // 2 :] for note in (straight, bent)]
    peaks_hz = [np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * RATE))) / 8 for wave in played]
    partials = [round(peak_hz / note_hz) for peak_hz, note_hz in zip(peaks_hz, (220, 246.94), strict=True)]
    assert peaks_hz[0] == pytest.approx(partials[0] * 220, rel=0.01)
    assert peaks_hz[1] == pytest.approx(partials[1] * 246.94, rel=0.02)  # it is shaken after the bend


def test_the_matrix_product_is_the_sum_of_decaying_sines():
    amplitude, damping, hz = np.array([1.0, -0.3]), np.array([2.0, 9.0]), np.array([220.0, 443.1])
    time_s = np.arange(3001) / RATE
    parts = zip(amplitude, damping, hz, strict=True)
    plain = sum(a * np.exp(-d * time_s) * np.sin(2 * np.pi * f * time_s) for a, d, f in parts)
    assert virtual_amp._partials(amplitude, damping, hz, 3001, RATE) == pytest.approx(plain, abs=1e-5)


# ---- the amp ----


def test_quiet_notes_come_out_nearly_as_loud_as_loud_ones():
    gains_db = [level_db(amp_of(sine(220, level))[RATE:]) - level_db(sine(220, level)) for level in (-40, -20, 0)]
    assert gains_db[0] > gains_db[1] + 8 > gains_db[2] + 16


def test_bias_makes_even_harmonics_and_its_absence_makes_none():
    for bias, even_is_there in ((0.3, True), (0.0, False)):
        power = spectrum(amp_of(sine(200, -20), bias=bias))
        even, odd = power[400::400].sum(), power[200::400].sum()
        assert (even > 1e-3 * odd) == even_is_there
        assert even_is_there or even < 1e-9 * odd


@pytest.mark.parametrize("hz", [1481, 4507])  # primes: what folds back misses the harmonics
def test_the_clipping_does_not_alias(hz: int):
    power = spectrum(amp_of(sine(hz, 0.0, duration_s=3.0), sag=0.0))
    on_grid = power[hz::hz].sum()
    assert power[1:].sum() - on_grid < 1e-6 * on_grid


def test_delay_shifts_the_sound_by_exactly_that_many_samples(direct: np.ndarray):
    passage = direct[: 2 * RATE]
    at_once, later = amp_of(passage, delay=0), amp_of(passage, delay=7)
    assert np.array_equal(later[7:], at_once[:-7])
    assert not later[:7].any()


def test_without_delay_the_amp_answers_on_the_sample_and_not_before():
    click = np.zeros(RATE // 2, dtype=np.float32)
    click[1000] = 1e-4
    answer = np.abs(amp_of(click, delay=0))
    assert answer[:985].max() < 1e-3 * answer.max()  # the resamplers' ripple is all that comes early
    assert np.argmax(answer > 0.01 * answer.max()) == 1001  # a loudspeaker takes a sample to move


def test_silence_stays_silent_but_for_the_noise():
    silence = np.zeros(2 * RATE, dtype=np.float32)
    assert np.abs(amp_of(silence)).max() < 1e-12
    assert level_db(amp_of(silence, noise_db=-75)) == pytest.approx(-75, abs=0.1)


def test_resampling_in_blocks_is_resampling_in_one_piece(direct: np.ndarray):
    passage = direct[:30_000].astype(float)  # three blocks and a part
    low_pass = signal.firwin(161, 1 / 8, window=("kaiser", 7.0))
    up = signal.resample_poly(passage, 8, 1, window=low_pass)
    one_piece = signal.resample_poly(up, 1, 8, window=low_pass)
    inside = slice(20, -20)  # the one piece cuts its filter off at the ends
    assert virtual_amp._oversampled(passage, [], 8)[inside] == pytest.approx(one_piece[inside], abs=1e-9)


def test_what_was_heard_does_not_depend_on_what_is_still_to_come(direct: np.ndarray):
    whole, start = amp_of(direct[: 3 * RATE], delay=0), amp_of(direct[: 3 * RATE // 2], delay=0)
    assert start[:-64] == pytest.approx(whole[: len(start) - 64], abs=1e-6)


def test_the_supply_sags_after_a_loud_burst_and_recovers():
    # below the drive of any stage but the first burst, so that the supply alone tells the two quiet parts apart
    burst = np.concatenate([sine(400, -50), sine(400, 0), sine(400, -50)])
    stiff, soft = (amp_of(burst, sag=sag).reshape(-1, RATE // 50) for sag in (0.0, 0.5))  # frames of 20 ms
    drop_db = np.array([level_db(a) - level_db(b) for a, b in zip(soft, stiff, strict=True)])
    before, just_after, recovered = drop_db[90], drop_db[203], drop_db[295]
    assert just_after < before - 2
    assert recovered == pytest.approx(before, abs=0.1)


def test_the_room_is_what_comes_later_and_quieter():
    click = np.zeros(RATE // 2, dtype=np.float32)
    click[0] = 1e-4
    close = amp_of(click, delay=0)
    room, softer = (amp_of(click, room_db=room_db, delay=0) - close for room_db in (-12, -18))
    first = round(0.0031 * RATE)
    assert np.abs(room[: first - 1]).max() < 1e-6 * np.abs(room).max()
    assert level_db(room) - level_db(softer) == pytest.approx(6, abs=0.01)
    assert -20 < level_db(room) - level_db(close) < -5


def test_a_microphone_hears_little_above_and_below_the_loudspeaker(amp: np.ndarray):
    power = np.abs(np.fft.rfft(amp)) ** 2
    hz = np.fft.rfftfreq(len(amp), 1 / RATE)
    middle, rumble, fizz = (power[(hz > low) & (hz < high)].sum() for low, high in ((80, 5000), (0, 50), (7000, 2e4)))
    assert max(rumble, fizz) < 1e-3 * middle


def test_the_minimum_phase_filter_has_the_curve_of_the_loudspeaker():
    response = virtual_amp._minimum_phase(RATE)
    for hz, gain_db in virtual_amp.LOUDSPEAKER[3:-3]:
        measured = abs(response @ np.exp(-2j * np.pi * hz / RATE * np.arange(len(response))))
        assert 20 * np.log10(measured) == pytest.approx(gain_db, abs=1.5)


def test_no_linear_filter_is_this_amp(direct: np.ndarray, amp: np.ndarray):
    """The best one of 256 taps, by least squares in the frequency domain over many frames (Wiener)."""
    size = 256
    frames = [
        np.lib.stride_tricks.sliding_window_view(x, 4 * size)[::size] * np.hanning(4 * size) for x in (direct, amp)
    ]
    played, heard = (np.fft.rfft(frame) for frame in frames)
    coherence = np.abs((played.conj() * heard).sum(0)) ** 2 / (np.abs(played) ** 2).sum(0)
    esr = 1 - coherence.sum() / (np.abs(heard) ** 2).sum()
    assert 0.2 < esr < 0.8


# ---- settings and the cache ----


@pytest.mark.parametrize(
    "settings",
    [
        {"duration_s": -1.0},
        {"duration_s": float("nan")},
        {"duration_s": "long"},
        {"sample_rate": 4000},
        {"sample_rate": 44100.5},
        {"seed": -1},
        {"sag": 1.0},
        {"noise_db": 3.0},
        {"delay": -7},
        {"delay": None},
    ],
)
def test_what_no_amp_can_be_is_refused_by_name(settings: dict):
    (name,) = settings
    with pytest.raises(ValueError, match=rf"^{name} is .*: set it between"):
        record(**settings)


def test_a_stereo_or_broken_direct_signal_is_refused():
    for direct in (np.zeros((2, 100), dtype=np.float32), np.array([0.0, np.nan], dtype=np.float32)):
        with pytest.raises(ValueError, match="one channel of finite samples"):
            virtual_amp.amplify(direct, RATE)


def test_a_recording_is_the_guitar_through_the_amp():
    direct, amp = virtual_amp.record(duration_s=1.0, sample_rate=22050, seed=2, drive_db=30.0, delay=3)
    assert direct.dtype == amp.dtype == np.float32
    assert np.array_equal(direct, virtual_amp.guitar(1.0, 22050, seed=2))
    assert np.array_equal(amp, virtual_amp.amplify(direct, 22050, seed=2, drive_db=30.0, delay=3))


def test_an_unknown_setting_is_refused_by_name():
    for make in (record, lambda **settings: virtual_amp.amplify(np.zeros(100, np.float32), RATE, **settings)):
        with pytest.raises(TypeError, match="'gain_db'"):
            make(gain_db=3.0)


def test_the_recording_is_the_same_in_every_version(tmp_path: Path):
    """To the precision that processors and libraries share."""
    direct, amp = virtual_amp.record(duration_s=1.5, sample_rate=8000, cache=tmp_path)
    found = [np.sqrt(np.mean(np.square(x, dtype=float))) for x in (direct, amp)]
    assert found == pytest.approx([0.07314442, 0.253097], rel=1e-4)


def test_a_second_call_reads_what_the_first_one_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = record(cache=tmp_path)
    monkeypatch.setattr(virtual_amp, "guitar", lambda *_, **__: pytest.fail("made again"))
    assert np.array_equal(record(cache=tmp_path, duration_s=0.5), made)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_every_setting_has_a_file_of_its_own(tmp_path: Path):
    record(cache=tmp_path)
    changed = {"duration_s": 0.6, "sample_rate": 8001, "seed": 1, "drive_db": 41.0, "bias": 0.2, "sag": 0.1}
    changed |= {"bass_db": 1.0, "mid_db": 1.0, "treble_db": 1.0, "room_db": -20.0, "noise_db": -80.0, "delay": 8}
    assert changed.keys() == {each.name for each in fields(virtual_amp.VirtualAmpSettings)}
    for name, value in changed.items():
        record(cache=tmp_path, **{name: value})
    assert len(list(tmp_path.iterdir())) == 1 + len(changed)


def test_a_change_of_the_code_makes_the_recording_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = virtual_amp._fingerprint({"seed": 0})
    source = tmp_path / "virtual_amp.py"
    source.write_bytes(Path(virtual_amp.__file__).read_bytes() + b"\n# louder\n")
    monkeypatch.setattr(virtual_amp, "__file__", str(source))
    assert virtual_amp._fingerprint({"seed": 0}) != before


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str):
    made = record(cache=tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 0x40]) + content[middle + 1 :]
    file.write_bytes({"empty": b"", "truncated": content[:middle], "flipped": flipped, "text": b"not audio"}[damage])
    assert np.array_equal(record(cache=tmp_path), made)
    assert file.read_bytes()[: middle + 1] == content[: middle + 1] or np.array_equal(np.load(file)["amp"], made[1])


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    assert len(record(cache=blocked / "cache")[0]) == 4000
    assert "not cached" in caplog.text


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMPSIM_CACHE", str(tmp_path / "here"))
    record()
    assert len(list((tmp_path / "here").iterdir())) == 1
