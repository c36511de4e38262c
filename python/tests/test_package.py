"""The package: what is installed, the command, the stubs."""

import ast
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import occlude
from conftest import PHOTOGRAPH, ROOT, command
from occlude import _occlude


def test_the_installed_package_is_tested():
    assert ROOT / "python" not in Path(occlude.__file__).parents
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert occlude.__version__ == importlib.metadata.version("occlude") == version


def test_numpy_is_the_only_dependency():
    needed = [line for line in importlib.metadata.requires("occlude") if "extra ==" not in line]
    assert [re.match(r"\w+", line)[0] for line in needed] == ["numpy"]
    # One file for all versions of Python.
    assert Path(_occlude.__file__).name.startswith("_occlude.abi3.") or os.name == "nt"


def test_the_modules_need_no_other_package():
    code = "import sys; sys.modules.update(dict.fromkeys(['PIL', 'matplotlib', 'tqdm', 'torch', 'captum', 'quantus']))"
    code += "; import occlude, occlude.captum, occlude.quantus"
    code += f"; print(occlude.GoogLeNet('builtin').explain({str(PHOTOGRAPH)!r}, stride=224).labels)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("['"), done.stderr


def test_the_module_is_the_command(tmp_path):
    done = command("explain", PHOTOGRAPH, "--out", tmp_path, "--stride", "112")
    assert done.returncode == 0, done.stderr
    assert "masks" in done.stdout and (tmp_path / "map.json").exists()
    script = Path(sys.executable).parent / "occlude"
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout == f"occlude {occlude.__version__}\n"


def test_exit_codes_are_those_of_the_command():
    assert command("classify", "missing.png").returncode == 1
    done = command("classify", "--top", "0", PHOTOGRAPH)
    assert done.returncode == 2 and "expected a whole number" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_ends_the_command(tmp_path):
    line = [sys.executable, "-m", "occlude", "explain", PHOTOGRAPH, "--stride", "3", "--weights", "builtin", "--out"]
    running = subprocess.Popen([*line, tmp_path / "out", "--progressive"], stderr=subprocess.PIPE, text=True)
    # The first figure is there before most positions have been computed.
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("out/*.png")):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 128 + signal.SIGINT
    assert errors.endswith("error: interrupted\n") and "Traceback" not in errors
    assert not (tmp_path / "out/map.json").exists()


def test_the_stubs_have_the_names_of_the_module():
    stub = Path(occlude.__file__).parent / "_occlude.pyi"
    body = ast.parse(stub.read_text()).body
    public = {name for name in dir(_occlude) if not name.startswith("_")}
    named = {node.name for node in body if hasattr(node, "name")}
    named |= {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
    assert named - {"__version__"} == public
    for node in body:
        if isinstance(node, ast.ClassDef) and not issubclass(getattr(_occlude, node.name), Exception):
            members = {name for name in vars(getattr(_occlude, node.name)) if not name.startswith("_")}
            assert {member.name for member in node.body if member.name != "__init__"} == members, node.name
