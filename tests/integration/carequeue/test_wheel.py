"""carequeue by itself: built from its own folder, installed where nothing else of this repository is, and at work."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.documents import carry_out, programs_in, runs_of, write_programs
from trove_classifiers import classifiers

pytestmark = pytest.mark.redis

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = ROOT / "libs/carequeue"
SOURCES = LIBRARY / "src/carequeue"


@dataclass(frozen=True, slots=True)
class Built:
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source distribution of a copy of the library's folder, and the wheel of what that unpacks to."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(LIBRARY, folder / "library", ignore=shutil.ignore_patterns("__pycache__"))
    sdist = build("sdist", folder / "library", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    return Built(sdist, build("wheel", unpacked, folder))


@pytest.fixture(scope="module")
def python(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel; what carequeue depends on is seen through a path."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    interpreter = environment / "bin/python"
    uv = shutil.which("uv") or shutil.which(ROOT / ".uv/bin/uv")
    venv.create(environment, with_pip=uv is None)
    if uv:
        run(uv, "pip", "install", "--offline", "--no-deps", "--python", str(interpreter), str(built.wheel))
    else:
        run(str(interpreter), "-m", "pip", "install", "--no-index", "--no-deps", str(built.wheel))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    return interpreter


def test_the_wheel_has_every_file_of_the_package_and_its_licence(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        licence = archive.read(next(name for name in archive.namelist() if name.endswith("licenses/LICENSE")))
    sources = {
        f"carequeue/{path.relative_to(SOURCES).as_posix()}"
        for path in SOURCES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == sources
    assert "carequeue/py.typed" in packed
    assert "carequeue/lua/commands/step-1.lua" in packed
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_the_source_distribution_has_the_documentation_and_nothing_from_outside(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        packed = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    pages = {f"docs/{page.name}" for page in (LIBRARY / "docs").glob("*.md")}
    assert pages | {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= packed
    assert {name.split("/")[0] for name in packed} <= {
        "src", "docs", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore",
    }  # fmt: skip


def test_the_wheel_says_what_it_is(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        said = email.message_from_bytes(archive.read(name))
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert set(said.get_all("Classifier", [])) <= classifiers
    assert said["Description-Content-Type"] == "text/markdown"
    assert said.get_payload(decode=True).decode() == (LIBRARY / "README.md").read_text("utf-8")


def test_what_is_installed_is_the_wheel_and_needs_nothing_of_the_workspace(python: Path) -> None:
    program = (
        "import sys, carequeue, carequeue.testing; print(carequeue.__file__);"
        "print(sorted(name for name in sys.modules if name.startswith('carecircle')))"
    )
    where, others = run(str(python), "-W", "error", "-c", program).splitlines()
    assert Path(where).is_relative_to(python.parents[1])
    assert others == "[]"


async def test_the_first_example_of_the_readme_runs_with_it(python: Path, tmp_path: Path, redis_url: str) -> None:
    programs = programs_in((LIBRARY / "README.md").read_text("utf-8"))
    first = runs_of(programs)[0]
    assert str(first) == "worker+producer"
    write_programs(programs, tmp_path, redis_url)
    await carry_out(first, tmp_path, str(python))


def build(target: str, source: Path, into: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into), cwd=source)
    [made] = into.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
