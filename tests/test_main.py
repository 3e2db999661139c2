"""`dcjax COMMAND`: one program for all commands, which needs nothing of the directory that it is started in."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from experiments import __main__ as program

ROOT = Path(__file__).parents[1]


def call(monkeypatch, *words, name="dcjax"):
    """Gives the exit code of a command line."""
    monkeypatch.setattr(sys, "argv", [name, *words])
    return program.main()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["nope"],
            "error: There is no command 'nope': choose run, evaluate, recall, architectures, experts, continual, compare, sets, export, report.",
        ),
        (
            ["rum"],
            "error: There is no command 'rum': choose run, evaluate, recall, architectures, experts, continual, compare, sets, export, report. Did you mean run?",
        ),
        (
            ["run", "--wdth", "4"],
            "error: There is no flag --wdth: did you mean --width? All flags are listed by --help.",
        ),
        (["evaluate"], "error: There is nothing to evaluate: give run directories or files of condensed sets."),
        (["compare", "--methods", "ddc"], "error: There is no method 'ddc': choose among"),
        (["export", "none", "--format", "npz"], "error: There is no file"),
        (["report"], "error: There is nothing to report on: give run directories"),
    ],
)
def test_the_first_word_names_the_command_and_what_is_wrong_is_one_sentence(words, message, monkeypatch, capsys):
    assert call(monkeypatch, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(message)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_lists_the_commands(words, monkeypatch, capsys):
    assert call(monkeypatch, *words) == 0
    usage, *commands = capsys.readouterr().out.splitlines()
    assert usage.startswith("usage: dcjax COMMAND")
    assert [line.split(":")[0].strip() for line in commands] == [*program.COMMANDS]


@pytest.mark.parametrize("name", ["/usr/bin/dcjax", str(ROOT / "experiments" / "__main__.py")])
@pytest.mark.parametrize("command", ["evaluate", "compare", "continual", "export", "report"])
def test_a_command_s_help_says_what_to_type(command, name, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        call(monkeypatch, command, "--help", name=name)
    assert capsys.readouterr().out.startswith(f"usage: dcjax {command} ")


@pytest.fixture(name="dcjax")
def _dcjax(tmp_path):
    """The script that an installation makes."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        module, function = tomllib.load(file)["project"]["scripts"]["dcjax"].split(":")
    script = tmp_path / "bin" / "dcjax"
    script.parent.mkdir()
    script.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    return script


def test_it_works_where_a_folder_of_the_user_s_own_is_named_experiments(dcjax, tmp_path):
    for name in ("__init__.py", "__main__.py", "run.py"):
        (tmp_path / "experiments" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "experiments" / name).write_text("raise SystemExit('not ours')")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, dcjax, "run", "--wdth", "4"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: There is no flag --wdth: did you mean --width? All flags are listed by --help.\n"


def test_it_is_also_the_package_itself():
    command = [sys.executable, "-m", "experiments", "nope"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert (
        ended.stderr
        == "error: There is no command 'nope': choose run, evaluate, recall, architectures, experts, continual, compare, sets, export, report.\n"
    )
