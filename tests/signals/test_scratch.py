import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy import signal as dsp
from synthetic import noise

from ampsim import AmpsimError
from ampsim.signals import scratch
from ampsim.signals.audio import energy, peak, read, write
from ampsim.signals.filters import decimated
from ampsim.signals.scratch import Scratch, blocks, release


@pytest.fixture(params=[0, 1 << 30], ids=["on disk", "in memory"])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scratch, "IN_MEMORY", request.param)
    monkeypatch.setattr(scratch, "BLOCK", 1000)


@pytest.mark.usefixtures("small_blocks")
def test_what_is_written_in_blocks_is_read_as_one():
    both = np.stack([noise(4321, seed=1), noise(4321, seed=2)])
    made = Scratch(2, 4321)
    for start in range(0, 4321, 1234):
        made.write(both[:, start : start + 1234])
    found = made.read()
    release(found[0])
    assert np.array_equal(found, both)
    parts = list(blocks(*found, more=2))
    assert [start for start, *_ in parts] == [0, 1000, 2000, 3000, 4000]
    assert [len(part) for _, part, _ in parts] == [1002, 1002, 1002, 1002, 321]
    assert all(np.array_equal(part, both[1, start : start + 1002]) for start, _, part in parts)


@pytest.mark.usefixtures("small_blocks")
def test_a_file_read_onto_the_disk_is_the_file(tmp_path: Path):
    samples = noise(4321)
    write(tmp_path / "a.wav", samples, 8000)
    assert np.array_equal(read(tmp_path / "a.wav", on_disk=True).channel(0), samples)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("step", [1, 4, 7])
@pytest.mark.parametrize("num_samples", [5, 999, 1001, 4321])
def test_decimated_in_blocks_as_scipy_does_at_once(step: int, num_samples: int):
    samples = noise(num_samples)
    np.testing.assert_array_equal(decimated(samples, step), dsp.resample_poly(samples, 1, step))


@pytest.mark.usefixtures("small_blocks")
def test_energy_and_peak_by_blocks():
    samples = noise(4321)
    assert energy(samples) == pytest.approx(np.sum(np.square(samples, dtype=np.float64)), rel=1e-12)
    assert peak(samples) == np.abs(samples).max()
    samples[1500] = np.nan
    assert np.isnan(peak(samples))


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scratch, "IN_MEMORY", 0)

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(AmpsimError, match=r"no room for 1\.2 GB of audio .*No space left.*TMPDIR"):
        Scratch(2, 150_000_000)
