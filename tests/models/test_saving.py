"""Model files from elsewhere: what they may take, and what of them is refused in a sentence."""

import io
import json
import os
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ampsim import AmpsimError, models
from ampsim.models.layers import bounded_weights
from ampsim.models.saving import load


def saved(folder: Path, model: models.AmpModel | None = None) -> Path:
    model = model or models.Fir(taps=8)
    model.build()
    model.save(folder / "sound.keras")
    return folder / "sound.keras"


def changed(
    folder: Path,
    *,
    arguments: dict[str, Any] | None = None,
    weights: Callable[[h5py.File], None] | None = None,
    more: dict[str, bytes] | None = None,
) -> Path:
    """A model file, with other arguments, weights that were rewritten, or more in the archive."""
    path = folder / "model.keras"
    with zipfile.ZipFile(saved(folder)) as sound, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in sound.namelist():
            data = sound.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"] |= arguments or {}
                data = json.dumps(config).encode()
            elif name.endswith(".h5") and weights:
                content = io.BytesIO(data)
                with h5py.File(content, "a") as file:
                    weights(file)
                data = content.getvalue()
            copy.writestr(name, data)
        for name, data in (more or {}).items():
            copy.writestr(name, data)
    return path


def dataset(file: h5py.File) -> h5py.Dataset:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    (only,) = found
    return only


def replaced(file: h5py.File, **options: Any) -> None:
    name, group = dataset(file).name, dataset(file).parent
    del group[name]
    group.create_dataset(name, **options)


def refusal(path: Path) -> str:
    with pytest.raises(AmpsimError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def one_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "0.001")


@pytest.mark.usefixtures("one_megabyte")
def test_what_unpacks_to_more_than_the_limit_is_not_unpacked(tmp_path: Path):
    assert load(saved(tmp_path)).taps == 8
    path = changed(tmp_path, more={"assets/zeros": bytes(900_000)})
    assert path.stat().st_size < 30_000
    assert "unpacked, would take 1.8 MB of memory, and one file or setting may take 1.0 MB" in refusal(path)


@pytest.mark.usefixtures("one_megabyte")
def test_arrays_that_are_packed_to_nothing_are_not_read(tmp_path: Path):
    path = changed(
        tmp_path, weights=lambda file: replaced(file, shape=(300_000,), dtype="f4", chunks=(1000,), compression="gzip")
    )
    assert f"the arrays in {path} would take 1.2 MB" in refusal(path)


@pytest.mark.usefixtures("one_megabyte")
@pytest.mark.parametrize("taps", [300_000, 10**9])
def test_weights_beyond_the_limit_are_not_set_aside(tmp_path: Path, taps: int):
    path = changed(tmp_path, arguments={"taps": taps})
    wanted = f"{4 * taps / 1e9:.1f} GB" if taps > 10**6 else "1.2 MB"
    assert f"the weights of {path} would take {wanted} of memory" in refusal(path)


@pytest.mark.usefixtures("one_megabyte")
@pytest.mark.parametrize(
    "made",
    [
        lambda: models.Fir(taps=300_000),
        lambda: models.Lstm(units=300),  # 4 * 300 * 302 numbers
        lambda: models.Dense(window=1000, units=300, layers=1),
        lambda: models.WaveNet(channels=[64] * 4, dilations=[[1] * 5] * 4),  # each layer alone has 66 kB
    ],
)
def test_a_model_of_any_family_is_counted_before_it_is_built(made: Callable[[], models.AmpModel]):
    with (
        pytest.raises(AmpsimError, match=r"the weights of the model would take 1\.\d MB"),
        bounded_weights("the model"),
    ):
        made().build()
    with bounded_weights("the model"):  # of each attempt anew
        models.Lstm(units=8).build()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"taps": 10**12}, "taps=1e+12: it is 2,147,483,647 or less"),
        ({"taps": float("nan")}, "taps=nan, but it is a whole number"),
        ({"taps": 8.0}, "taps=8.0, but it is a whole number"),
        ({"taps": None}, "taps=None, but it is a whole number"),
        ({"taps": True}, "taps=True, but it is a whole number"),
        ({"taps": -8}, "taps=-8: it is 1 or more"),
        ({"output_gain": float("inf")}, "output_gain=inf: it is a finite number"),
    ],
)
def test_arguments_that_no_model_has_are_refused(tmp_path: Path, arguments: dict, sentence: str):
    assert sentence in refusal(changed(tmp_path, arguments=arguments))


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float):
    def spoil(file: h5py.File) -> None:
        dataset(file)[3] = value

    assert "1 of its weights are NaN or infinite" in refusal(changed(tmp_path, weights=spoil))


def test_weights_of_another_size_are_refused(tmp_path: Path):
    refusal(changed(tmp_path, weights=lambda file: replaced(file, data=np.zeros(9, np.float32))))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_what_never_ends_or_never_begins_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "zeros.keras").symlink_to("/dev/zero")
    for name in ("pipe.keras", "zeros.keras"):
        assert "is no file, but a " in refusal(tmp_path / name)
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "nothing.keras")


@pytest.mark.parametrize("size", [1_400_000_000, 8_000_000_000], ids=["below the limit", "beyond it"])
@pytest.mark.parametrize("member", ["model.weights.h5", "metadata.json"])
def test_a_bomb_of_zeros_is_refused_before_it_is_unpacked(member: str, size: int, tmp_path: Path):
    """Full size, made in no time: deflated zeros that are flushed can be repeated as they are."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = packer.compress(bytes(size // 1000)) + packer.flush(zlib.Z_FULL_FLUSH)
    path = saved(tmp_path)
    with zipfile.ZipFile(path) as file:
        kept = {name: file.read(name) for name in file.namelist() if name != member}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in kept.items():
            file.writestr(name, content)
        entry = zipfile.ZipInfo(member)
        file.writestr(entry, zeros * 1000 + packer.flush())
        entry.compress_type, entry.file_size = zipfile.ZIP_DEFLATED, size
    assert path.stat().st_size > size / 1100
    tracemalloc.start()
    told = refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert f"its {member} is packed to" in told
    assert "as no weights are" in told


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: models.Tcn(dilations=[1] * 100_000), "dilations has 100,000 entries"),
        (lambda: models.WaveNet(channels=[1], dilations=[[1] * 100_000]), "layers=100000: it is 500 or less"),
        (lambda: models.WaveNet(channels=[1] * 50_000, dilations=[[1, 2]] * 50_000), "layers=100000"),
        (lambda: models.WaveNetCab(layers=10**9), "layers=1000000000"),
        (lambda: models.Dense(layers=10**6), "layers=1000000"),
        (lambda: models.Ssm(layers=10**6), "layers=1000000"),
        (lambda: models.WaveNet(head_scale=float("nan")), "head_scale=nan: it is a finite number"),
        (lambda: models.Tcn(dilations=[1, 10**12]), "dilations=1e+12: it is 2,147,483,647 or less"),
    ],
)
def test_more_layers_than_can_be_built_are_refused_at_once(made: Callable[[], Any], sentence: str):
    with pytest.raises(ValueError, match=sentence.replace("+", r"\+")):
        made()
