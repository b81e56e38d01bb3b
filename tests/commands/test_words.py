"""Words of a command line against the options that they stand for."""

from pathlib import Path

import pytest

from ampsim import AmpsimError
from ampsim.commands.options import Doctor, Render
from ampsim.commands.words import parsed


@pytest.fixture
def takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my amp #1.wav", "direct.wav", "amp.wav"):
        Path(name).touch()


@pytest.mark.parametrize(
    ("short", "full"),
    [
        (["my amp #1.wav"], ["input=my amp #1.wav"]),
        (["direct.wav", "amp.wav"], ["input=direct.wav", "target=amp.wav"]),
        (["html=a.html", "direct.wav", "target=amp.wav"], ["html=a.html", "input=direct.wav", "target=amp.wav"]),
    ],
    ids=["stereo", "two", "one_named"],
)
@pytest.mark.usefixtures("takes")
def test_a_file_named_alone_is_the_input_and_a_second_one_the_target(short: list[str], full: list[str]):
    assert parsed(Doctor, short) == parsed(Doctor, full)


def test_a_file_that_is_not_there_is_no_misspelt_option(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"no_such\.wav` is not understood: there is no such file"):
        parsed(Doctor, [str(tmp_path / "no_such.wav")])


@pytest.mark.usefixtures("takes")
def test_a_file_named_alone_is_the_input_of_render():
    assert parsed(Render, ["direct.wav", "run=last", "output=out.wav"]).input == "direct.wav"


@pytest.mark.parametrize(
    "words", [["absent.wav"], ["direct.wav", "amp.wav", "my amp #1.wav"], ["input=a.wav", "nput=b"]]
)
@pytest.mark.usefixtures("takes")
def test_a_word_that_is_neither_a_file_nor_an_option_is_refused(words: list[str]):
    with pytest.raises(AmpsimError, match="is not understood"):
        parsed(Doctor, words)
