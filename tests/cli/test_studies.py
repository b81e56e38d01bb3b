"""Names of runs in a list on the command line."""

import pytest

from ampsim.cli.studies import names_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b, c", ["a", "b", "c"]),
        ("[last,b]", ["last", "b"]),
        ("take 1, loud.wav,b", ["take 1, loud.wav", "b"]),
        ("b,x,take 1, loud.wav", ["b", "x", "take 1, loud.wav"]),
        ("[odd]", ["odd"]),
        (" , ", []),
        ("", []),
    ],
)
def test_a_name_may_hold_commas(text: str, names: list[str]):
    assert names_in(text, {"a", "b", "take 1, loud.wav"}.__contains__) == names
