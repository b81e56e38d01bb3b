"""Files that appear whole or not at all, and files of strangers that are read with care."""

import gc
import os
import socket
from pathlib import Path

import pytest
from synthetic import noise, write_pcm

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.files import (
    atomic,
    atomic_folder,
    cache_folder,
    read_json,
    read_text,
    refuse_existing,
    refuse_larger,
    uncollected,
    write_text,
)

# ---- written ----


def test_a_file_takes_its_name_only_once_it_is_whole(tmp_path: Path):
    path = tmp_path / "new" / "out.csv"
    with atomic(path) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "out.csv") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_to_be_replaced(tmp_path: Path):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(OSError, match="full"), atomic(tmp_path / "out.csv", overwrite=True):
        raise OSError("full")
    assert (tmp_path / "out.csv").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="this system has no umask")
def test_the_umask_is_heeded(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "x.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == 0o640


def test_a_name_as_long_as_a_file_system_takes(tmp_path: Path):
    path = tmp_path / ("ü" * 125 + ".txt")  # 254 bytes
    write_text(path, "x")
    assert path.read_text() == "x"


def other_names(path: Path) -> dict[str, Path]:
    """Names by which a file can be reached besides its own."""
    folder = path.parent / "linked"
    folder.symlink_to(path.parent, target_is_directory=True)
    (link := path.with_name("link.wav")).symlink_to(path)
    (hard := path.with_name("hard.wav")).hardlink_to(path)
    roundabout = path.parent / "linked" / ".." / path.parent.name / path.name
    names = {"itself": path, "link": link, "hard link": hard, "linked folder": folder / path.name, "dots": roundabout}
    shouted = path.with_name(path.name.upper())
    return names | ({"other case": shouted} if shouted.exists() else {})


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_an_input_is_never_replaced_under_any_of_its_names(tmp_path: Path):
    (tmp_path / "my").mkdir()
    path = tmp_path / "my" / "take.wav"
    path.write_bytes(b"sound")
    for name, other in other_names(path).items():
        with pytest.raises(AmpsimError, match="is the input itself"):
            refuse_existing(other, overwrite=True, inputs=["missing.wav", str(path)])
        assert path.read_bytes() == b"sound", name
    refuse_existing(tmp_path / "other.wav", overwrite=False, inputs=[path])


COMMANDS = {  # each with {recording}, {other} as one more name of the recording, and {folder}, which holds nothing else
    "doctor, html": "doctor input={recording} html={other}",
    "doctor, json": "doctor input={recording} json={other}",
    "doctor, json of the amp's file": "doctor input=elsewhere.wav target={recording} json={other}",
    "doctor, both": "doctor input={other} json={recording} html={folder}/new.html",
    "render": "render input={recording} output={other}",
    "plan": "plan settings={recording} output={other}",
    "render of a capture": "render input=elsewhere.wav capture={recording} output={other}",
}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_over_its_input(command: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_pcm(tmp_path / "elsewhere.wav", [noise(100), noise(100)])
    (tmp_path / "my").mkdir()
    path = write_pcm(tmp_path / "my" / "take.wav", [noise(8000), noise(8000, seed=1)])
    before = path.read_bytes()
    for name, other in other_names(path).items():
        words = COMMANDS[command].format(recording=path, other=other, folder=tmp_path).split()
        assert code([*words, "overwrite=true"]) == 2, name
        assert "is the input itself" in " ".join(capsys.readouterr().err.split()), name
        assert path.read_bytes() == before, name
        assert other.read_bytes() == before, name


def code(words: list[str]) -> int:
    try:
        return cli.main(words)
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="this system has no devices in its file system")
@pytest.mark.parametrize("kind", ["device", "link to a device", "pipe", "socket"])
def test_what_is_no_file_is_never_replaced(kind: str, tmp_path: Path):
    path = tmp_path / "x"
    if kind == "device":
        path = Path("/dev/null")
    elif kind == "link to a device":
        path.symlink_to("/dev/null")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    before = path.stat()
    for write in (refuse_existing, lambda path, overwrite: write_text(path, "new", overwrite=overwrite)):
        with pytest.raises(AmpsimError, match=r"is no file, but a (device|pipe|socket): name a file"):
            write(path, overwrite=True)
    assert os.path.samestat(path.stat(), before)


def test_an_existing_file_is_replaced_only_where_that_is_said(tmp_path: Path):
    path = tmp_path / "x.txt"
    write_text(path, "old")
    for refuse in (refuse_existing, lambda path, overwrite: write_text(path, "new", overwrite=overwrite)):
        with pytest.raises(AmpsimError, match=r"x\.txt exists; say overwrite=true to replace it"):
            refuse(path, overwrite=False)
    assert path.read_text() == "old"
    write_text(path, "new", overwrite=True)
    assert path.read_text() == "new"


def test_a_folder_is_never_replaced(tmp_path: Path):
    with pytest.raises(AmpsimError, match="exists and is a folder: name a file"):
        write_text(tmp_path, "x", overwrite=True)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AmpsimError, match=r"file cannot be written to: (Not a directory|File exists)"):
        write_text(tmp_path / "file" / "x.txt", "x")
    with pytest.raises(AmpsimError, match=r"cannot be written to: .*null"):
        write_text(tmp_path / "a\0b", "x")


def test_a_disk_that_is_full_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AmpsimError, match=r"x\.txt cannot be written: No space left on device"):
        write_text(tmp_path / "x.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_character_that_is_no_text_and_line_ends(tmp_path: Path):
    write_text(tmp_path / "x.txt", "a\udcff\nb")
    assert (tmp_path / "x.txt").read_bytes() == b"a?\nb"


# ---- read ----


def test_text_is_read_with_or_without_a_byte_order_mark(tmp_path: Path):
    for start in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "x.json").write_bytes(start + '{"ü": [1, 2.5]}'.encode())
        assert read_text(tmp_path / "x.json", "list", 100) == '{"ü": [1, 2.5]}'
        assert read_json(tmp_path / "x.json", "list", 100) == {"ü": [1, 2.5]}


UNREADABLE = {
    "too large": (b"1" * 101, "is no list: it has more than 100 bytes"),
    "no text": (b"ab\xff\xfe", "is no list: it is not text in UTF-8 from byte 2 on"),
    "empty": (b"", "it breaks off"),
    "cut off": (b'{"a": [1, ', "it breaks off"),
    "a list cut off": (b"[1, 2", "it breaks off"),
    "something else": (b"RIFF....WAVE", "it is not JSON from character 0 on"),
    "damaged within": (b'{"a": 1 "b": 2}', "it is not JSON from character 8 on"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_not_as_it_should_be_is_told_in_a_sentence(tmp_path: Path, name: str):
    content, sentence = UNREADABLE[name]
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(AmpsimError) as caught:
        read_json(tmp_path / "x.json", "list", 100)
    assert sentence in str(caught.value)
    assert str(tmp_path / "x.json") in str(caught.value)


def test_no_garbage_is_collected_where_the_stack_may_be_used_up():
    """A finalizer that the collector calls there fails, and what it was to put away stays."""
    with uncollected(), uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(RecursionError), uncollected():
        raise RecursionError
    assert gc.isenabled()


def test_nesting_and_numbers_without_end(tmp_path: Path):
    (tmp_path / "nested.json").write_text("[" * 100_000)
    with pytest.raises(AmpsimError, match="nested too deep"):
        read_json(tmp_path / "nested.json", "list", 1_000_000)
    (tmp_path / "digits.json").write_text("1" * 5_000)
    with pytest.raises(AmpsimError, match="a number that is too long"):
        read_json(tmp_path / "digits.json", "list", 1_000_000)


def test_what_is_missing_a_folder_or_protected(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"x\.json does not exist \(looked from "):
        read_text(tmp_path / "x.json", "list", 100)
    with pytest.raises(AmpsimError, match=r"is a folder; name a file in it \(list\)"):
        read_text(tmp_path, "list", 100)
    with pytest.raises(AmpsimError, match=r"cannot be read: .*null"):
        read_text(tmp_path / "a\0b", "list", 100)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_what_never_ends_or_never_begins_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(AmpsimError, match=r"is no file, but a (device|pipe|socket); name a list"):
            read_text(path, "list", 100)


def test_a_key_that_is_there_twice_is_named(tmp_path: Path):
    for text in ('{"a": 1, "b": 2, "a": 3}', '[{"x": {"a": 1, "a": 1}}]'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(AmpsimError, match="is no list that can be read: it has the key 'a' twice in one object"):
            read_json(tmp_path / "x.json", "list")


def test_text_in_other_codes_is_told(tmp_path: Path):
    for code in ("utf-16", "utf-16-be"):
        (tmp_path / "x.json").write_bytes((b"" if code == "utf-16" else b"\xfe\xff") + '{"a": 1}'.encode(code))
        with pytest.raises(AmpsimError, match="it is not text in UTF-8, but in UTF-16; save it as UTF-8"):
            read_json(tmp_path / "x.json", "list")


def test_json_is_read_as_far_as_the_memory_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x.json").write_text("[" + "1," * 30_000 + "1]")
    assert len(read_json(tmp_path / "x.json", "list")) == 30_001
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "0.001")
    with pytest.raises(AmpsimError, match="is no list: it has more than 40,000 bytes"):
        read_json(tmp_path / "x.json", "list")


def test_what_is_asked_for_is_told_with_its_size_and_the_limit(monkeypatch: pytest.MonkeyPatch):
    refuse_larger("model.taps=8", 3e9)
    with pytest.raises(AmpsimError) as caught:
        refuse_larger("model.taps=1000000000", 4e9)
    assert str(caught.value) == (
        "model.taps=1000000000 would take 4.0 GB of memory, and one file or setting may take 3.0 GB: make it smaller, or "
        "raise the limit (AMPSIM_MEMORY_GB=5)"
    )
    monkeypatch.setenv("AMPSIM_MEMORY_GB", "5")
    refuse_larger("model.taps=1000000000", 4e9)


# ---- Folders ----


def test_a_folder_takes_its_name_only_once_it_is_whole(tmp_path: Path):
    with atomic_folder(tmp_path / "new" / "out") as temporary:
        (temporary / "a.txt").write_text("a")
        assert not (tmp_path / "new" / "out").exists()
    assert [path.name for path in (tmp_path / "new" / "out").iterdir()] == ["a.txt"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_left_of_a_folder_that_failed(overwrite: bool, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out", overwrite=overwrite) as temporary:  # noqa: PT012
        (temporary / "a.txt").write_text("a")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link", "full", "other", "nested"])
def test_what_is_in_the_way_of_a_folder_stays(kind: str, tmp_path: Path):
    """A folder with other files than the new one has is not replaced even where overwriting is allowed."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        out.write_text("mine")
    elif kind == "link":
        out.symlink_to(elsewhere)
    else:
        out.mkdir()
        name = {"full": "a.txt", "other": "b.txt", "nested": "a.txt"}[kind]
        (out / name).mkdir() if kind == "nested" else (out / name).write_text("mine")

    def write(**options: bool) -> None:
        with atomic_folder(out, **options) as temporary:
            (temporary / "a.txt").write_text("new")

    with pytest.raises(
        AmpsimError, match="exists and is no folder" if kind in ("file", "link") else "say overwrite=true"
    ):
        write()
    if kind == "full":
        write(overwrite=True)
        assert (out / "a.txt").read_text() == "new"
    else:
        with pytest.raises(AmpsimError, match=r"is no folder|which would be lost"):
            write(overwrite=True)
        assert out.is_symlink() or not out.is_file() or out.read_text() == "mine"
        assert kind != "other" or (out / "b.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out"]


# ---- kept ----


def test_a_user_without_a_home_has_no_cache_but_that_which_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A container's user may be a number without a name: no folder `~` in the current one is its home."""
    monkeypatch.delenv("AMPSIM_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "ampsim"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_folder() is None
    monkeypatch.setenv("AMPSIM_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("AMPSIM_CACHE", "mine")
    monkeypatch.chdir(tmp_path)
    assert cache_folder() == tmp_path / "mine"
