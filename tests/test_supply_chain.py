"""What is installed is pinned by hashes, and an SBOM lists what is shipped."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from importlib.metadata import distribution, requires, version
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
CI: Final = ROOT / ".ci"
FILES: Final = ("versions.txt", "runtime.txt")


def pinned(file: str) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = runpy.run_path(str(CI / "sbom.py"))["pinned"]((CI / file).read_text())
    return found


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    told = subprocess.run([sys.executable, CI / "sbom.py"], capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(told.stdout)
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_line_is_a_pinned_requirement_or_a_hash_and_names_no_host(file: str) -> None:
    lines = (CI / file).read_text().splitlines()

    pattern = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not pattern.fullmatch(line)] == []
    assert all(hashes for _, hashes in pinned(file).values())


def test_the_shipped_dependencies_are_the_tested_ones() -> None:
    assert pinned("runtime.txt").items() <= pinned("versions.txt").items()


def test_every_requirement_is_pinned_to_an_allowed_release() -> None:
    known = pinned("versions.txt")
    builds = re.findall(r'requires = \["([^"]+)"\]', (ROOT / "pyproject.toml").read_text())

    for requirement in map(Requirement, [*(requires("threads-gateway") or ()), *builds]):
        if str(requirement.marker) == 'extra == "bench"':
            continue  # what draws pictures is a fifth of an installation, and CI draws nothing
        pin, _ = known[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), requirement


def test_the_installed_versions_are_the_pinned_ones() -> None:
    known = pinned("versions.txt")
    ours = [Requirement(each) for each in requires("threads-gateway") or () if "extra" not in each]

    assert {each.name: version(each.name) for each in ours} == {
        each.name: known[canonicalize_name(each.name)][0] for each in ours
    }


def test_the_sbom_lists_what_is_shipped_with_every_hash(sbom: dict[str, Any]) -> None:
    shipped = pinned("runtime.txt")

    assert (sbom["bomFormat"], sbom["specVersion"], sbom["version"]) == ("CycloneDX", "1.6", 1)
    assert sbom["metadata"]["component"]["name"] == "threads-gateway"
    assert sbom["metadata"]["component"]["version"] == distribution("threads-gateway").version
    assert {
        each["name"]: (each["version"], [file["hashes"][0]["content"] for file in each["externalReferences"]])
        for each in sbom["components"]
    } == shipped


def test_the_sbom_is_valid_cyclonedx(sbom: dict[str, Any]) -> None:
    components = [sbom["metadata"]["component"], *sbom["components"]]
    refs = [each["bom-ref"] for each in components]

    assert len(set(refs)) == len(refs)
    assert all(each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in components)
    assert {ref for each in sbom["dependencies"] for ref in (each["ref"], *each["dependsOn"])} == set(refs)
    assert sum("licenses" in each for each in components) > len(components) - 3  # but those of other systems


def test_the_sbom_names_no_registry_and_no_place_on_this_machine(sbom: dict[str, Any]) -> None:
    told = json.dumps({name: value for name, value in sbom.items() if name != "$schema"})

    assert "://" not in told
    assert str(ROOT) not in told
    assert str(Path.home()) + "/" not in told
