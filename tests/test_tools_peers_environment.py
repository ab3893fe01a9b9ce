"""The environment of a peer: which interpreter makes it, and when it is made anew."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from toy_peer import HERE, environment, toy

from refimpl.errors import HarnessError, UsageError


def this_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_interpreter_of_a_version_that_is_named_is_found(tmp_path: Path) -> None:
    peer = toy(tmp_path, python=["3.1", this_python()])
    assert environment.find_interpreter(peer) == Path(sys.executable)


def test_an_interpreter_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no Python 3\.1 is installed") as caught:
        environment.find_interpreter(toy(tmp_path, python=["3.1"]))
    assert "--python" in caught.value.hint


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would make an environment, which here is a link to this interpreter."""
    made = []

    def call(command: list[str], peer: Any) -> None:
        made.append(command)
        python = tmp_path / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.symlink_to(sys.executable)

    monkeypatch.setattr(environment, "_call", call)
    monkeypatch.setattr(environment, "_described", lambda python, peer: replace(HERE, python=python))
    return made


def test_an_environment_is_made_once_and_again_when_the_pins_change(tmp_path: Path, calls: list[list[str]]) -> None:
    peer = toy(tmp_path, python=[this_python()])
    made = environment.make_environment(peer, tmp_path / "venv")
    assert [command[1:3] for command in calls] == [["-m", "venv"], ["-m", "pip"]]
    assert calls[1][-2:] == ["toy==7.1", "numpy==2.4.6"]
    assert environment.make_environment(peer, tmp_path / "venv") == made
    assert len(calls) == 2
    environment.make_environment(replace(peer, install=("toy==7.2",)), tmp_path / "venv")
    assert len(calls) == 4


def test_a_package_that_cannot_be_installed_is_a_failure_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="ended with exit status 1") as caught:
        environment._call([sys.executable, "-c", "import sys; sys.exit(1)"], toy(tmp_path))
    assert "tools/peers/toy.yaml: install" in caught.value.hint


def test_an_environment_tells_versions_and_platform(tmp_path: Path) -> None:
    peer = toy(tmp_path, distribution="numpy")
    described = environment._described(Path(sys.executable), peer)
    assert described.version == import_module("numpy").__version__
    with pytest.raises(UsageError, match="'toy' is not installed"):
        environment._described(Path(sys.executable), replace(peer, distribution="toy"))
