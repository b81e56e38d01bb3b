"""Which files of a folder belong together, by their names."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ampsim import AmpsimError
from ampsim.recordings import Folder


def made(root: Path, *names: str, channels: int = 1) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros((10, channels)), 8000)


def found(root: Path, **arguments: str) -> dict[str, tuple[str, str | None]]:
    """Direct and amp by the recording's name, as paths below the folder."""
    takes = Folder(path=str(root), **arguments).takes()
    return {
        take.name: (str(take.direct.relative_to(root)), str(take.amp.relative_to(root)) if take.amp else None)
        for take in takes
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["direct.wav", "stage 1.wav", "jcm,800 #2.flac"],
            {"jcm,800 #2": ("direct.wav", "jcm,800 #2.flac"), "stage 1": ("direct.wav", "stage 1.wav")},
        ),
        (
            ["ac30_di.wav", "ac30_amp.wav", "Twin-Input.wav", "Twin-Target.wav"],
            {"ac30": ("ac30_di.wav", "ac30_amp.wav"), "twin": ("Twin-Input.wav", "Twin-Target.wav")},
        ),
        (
            ["ac30/input.wav", "ac30/output.wav", "twin/dry.wav", "twin/bright.wav", "twin/dark.wav"],
            {
                "ac30": ("ac30/input.wav", "ac30/output.wav"),
                "twin_bright": ("twin/dry.wav", "twin/bright.wav"),
                "twin_dark": ("twin/dry.wav", "twin/dark.wav"),
            },
        ),
        (  # two of one name, and what is no recording
            ["a/di.wav", "a/x.wav", "a/x.flac", ".hidden/y.wav", "notes.aif.txt"],
            {"a_x": ("a/di.wav", "a/x.flac"), "a_x_2": ("a/di.wav", "a/x.wav")},
        ),
    ],
)
def test_names_say_what_belongs_together(files: list[str], expected: dict[str, tuple[str, str | None]], tmp_path: Path):
    for name in files:
        if name.endswith(".txt"):
            (tmp_path / name).write_text("no sound")
        else:
            made(tmp_path, name)
    assert found(tmp_path) == expected


def test_a_direct_signal_that_is_named_belongs_to_all_others(tmp_path: Path):
    made(tmp_path, "riff.wav", "one.wav", "in/two.wav")
    expected = {"one": ("riff.wav", "one.wav"), "in_two": ("riff.wav", "in/two.wav")}
    assert found(tmp_path, input="riff.wav") == expected
    assert found(tmp_path, input=str(tmp_path / "riff.wav")) == expected


def test_without_a_direct_signal_stereo_files_hold_both(tmp_path: Path):
    made(tmp_path, "one.wav", "two.wav", channels=2)
    takes = Folder(path=str(tmp_path)).takes()
    assert [take.data for take in takes] == [
        {"data": "stereo", "data.path": str(tmp_path / name)} for name in ("one.wav", "two.wav")
    ]


@pytest.mark.parametrize(
    ("files", "arguments", "told"),
    [
        ([], {}, "holds no recordings"),
        (["one.wav"], {}, "one.wav has 1 channel, and no file beside it is called a direct signal"),
        (["direct.wav"], {}, "direct.wav is a direct signal, and no amp's file lies beside it"),
        (["a_di.wav", "b_di.wav", "a_amp.wav"], {}, "b_di.wav is a direct signal, and no amp's file of the same name"),
        (
            ["a_di.wav", "b_di.wav", "c_amp.wav"],
            {},
            "c_amp.wav has no direct signal of the same name among a_di.wav, b_di",
        ),
        (["a.wav"], {"input": "b.wav"}, "data.input=b.wav: there is no such file"),
    ],
)
def test_a_file_without_a_partner_is_named(files: list[str], arguments: dict[str, str], told: str, tmp_path: Path):
    made(tmp_path, *files)
    with pytest.raises(AmpsimError, match=told):
        Folder(path=str(tmp_path), **arguments).takes()


def test_what_is_no_folder_is_refused(tmp_path: Path):
    made(tmp_path, "a.wav")
    for path in (tmp_path / "a.wav", tmp_path / "nothing"):
        with pytest.raises(AmpsimError, match="is no folder"):
            Folder(path=str(path)).takes()


def test_one_run_cannot_load_it(tmp_path: Path):
    with pytest.raises(AmpsimError, match="one by one"):
        Folder(path=str(tmp_path)).load()
