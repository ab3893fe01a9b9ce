import argparse
import importlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refimpl import __main__
from refimpl.common.cli import guarded, output_file, version, write_text
from refimpl.errors import HarnessError, InvalidHyper, UsageError, VectorError


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "refimpl", *arguments], capture_output="stdout" not in more, text=True, **more)


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("what", "do this"), 2),
        (VectorError("file", "key", "reason", "do this"), 2),
        (InvalidHyper("what", "lr", "do this"), 2),
        (HarnessError("what", "do this"), 3),
        (ZeroDivisionError("what"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_exception_becomes_a_message_and_an_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded("refimpl toy", raising(error)) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("refimpl toy: ")
    assert "Traceback" not in printed.err


def test_the_hint_follows_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    guarded("refimpl toy", raising(UsageError("no dialect 'x'", "choose from y")))
    assert capsys.readouterr().err == "refimpl toy: no dialect 'x'\n  hint: choose from y\n"


def test_the_traceback_is_printed_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIMPL_DEBUG", "1")
    assert guarded("refimpl toy", raising(ZeroDivisionError("what"))) == 3
    assert "Traceback" in capsys.readouterr().err


def test_the_code_of_the_body_is_returned_and_argparse_exits_pass_through() -> None:
    assert guarded("refimpl toy", lambda: 1) == 1
    with pytest.raises(SystemExit):
        guarded("refimpl toy", raising(SystemExit(2)))


def test_a_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        ended = run("--help", stdout=stdout, stderr=subprocess.PIPE)
    assert ended.returncode == 141
    assert ended.stderr == ""


def test_characters_that_the_terminal_lacks_do_not_fail_the_command() -> None:
    code = "from refimpl.common.cli import guarded; raise SystemExit(guarded('x', lambda: print(chr(0x2264)) or 0))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0
    assert ended.stdout.strip() == b"\\u2264"


def test_a_file_is_written_whole_with_the_usual_permissions(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    mask = os.umask(0o027)
    try:
        write_text(file, "é\n")
    finally:
        os.umask(mask)
    assert file.read_bytes() == "é\n".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_when_writing_fails_the_old_file_stays_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "\ud800")
    assert file.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_the_permissions_of_a_file_that_is_there_stay(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")
    file.chmod(0o604)
    write_text(file, "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o604)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "text")
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write_text(tmp_path / "none" / "report.json", "text")


def test_an_output_file_is_refused_before_the_work_starts(tmp_path: Path) -> None:
    assert output_file(str(tmp_path / "report.json")) == tmp_path / "report.json"
    for text in ("", str(tmp_path), str(tmp_path / "none" / "report.json")):
        with pytest.raises(argparse.ArgumentTypeError):
            output_file(text)


def test_help_lists_every_command_and_every_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, line in __main__.COMMANDS.items():
        assert name in printed
        assert line in printed
        assert callable(importlib.import_module(f"refimpl.{name}").main)


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--version"]) == 0
    assert capsys.readouterr().out == f"refimpl {version()}\n"


def test_an_unknown_command_is_a_usage_error_with_near_matches(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["chek"]) == 2
    assert "did you mean check?" in capsys.readouterr().err
    assert __main__.main(["zzz"]) == 2
    assert f"the commands are {', '.join(__main__.COMMANDS)}" in capsys.readouterr().err


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "usage" in printed.err


def test_a_command_runs_by_its_name() -> None:
    ended = run("check", "--help")
    assert ended.returncode == 0
    assert "python -m refimpl.check" in ended.stdout


def test_a_usage_error_of_a_command_exits_with_2() -> None:
    ended = run("check")
    assert ended.returncode == 2
    assert "give one of BACKEND, --program and --results" in ended.stderr


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", command.replace("refimpl", f"{sys.executable} -m refimpl")], capture_output=True, text=True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux")
@pytest.mark.parametrize("command", ["gen --list --dialect torch.Adam", "explain", "check --list --dialect torch.Adam"])
@pytest.mark.sampled(3)
def test_a_full_disk_is_said_in_one_sentence_and_exits_with_2(command: str) -> None:
    ended = shell(f"refimpl {command} > /dev/full")
    assert ended.returncode == 2
    assert "standard output cannot be written: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.sampled(3)
def test_closed_standard_streams_change_no_exit_code(closed: str) -> None:
    ended = shell(f"refimpl check reference --dialect torch.SparseAdam --case '*/duplicates/pair' {closed}")
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    if ">&-" not in closed.replace("2>&-", ""):
        assert "conforms to torch.SparseAdam" in ended.stdout


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it() -> None:
    hidden = "import sys; sys.modules['flint'] = None; from refimpl.explain import main; sys.exit(main([]))"
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr == "refimpl explain: this needs the Python package python-flint\n  hint: pip install python-flint\n"
