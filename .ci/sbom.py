#!/usr/bin/env python3
"""Print what a release is made of, as CycloneDX 1.6 in JSON: the packages of runtime.txt, hashes and licences too.

It is run by the environment that the tests run in, where those packages are installed, and needs nothing else.
Source: CycloneDX 1.6 (ECMA-424); Package URL, type "pypi".
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT = "threads-gateway"


def pinned(text: str) -> dict[str, tuple[str, list[str]]]:
    """Read a file of requirements: the version and the SHA-256 of each file, by the name of the package."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in text.splitlines():
        if given := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line):
            name = re.sub(r"[-_.]+", "-", given[1]).lower()
            found[name] = given[2], []
        elif hashed := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            found[name][1].append(hashed[1])
    return found


def component(name: str, version: str, hashes: list[str]) -> dict[str, Any]:
    """Describe one package; each file of its release that may be installed is one more external reference."""
    url = f"pkg:pypi/{name}@{version}"
    made: dict[str, Any] = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
    if hashes:
        files = [{"alg": "SHA-256", "content": each} for each in hashes]
        made["externalReferences"] = [{"type": "distribution", "url": url, "hashes": [each]} for each in files]
    try:
        told = distribution(name).metadata
    except PackageNotFoundError:  # for another system
        return made
    if expression := told.get("License-Expression"):
        made["licenses"] = [{"expression": expression}]
    elif names := [each.rpartition(" :: ")[2] for each in told.get_all("Classifier", []) if each.startswith("License")]:
        made["licenses"] = [{"license": {"name": each}} for each in names]
    elif (name := told.get("License", "")) and "\n" not in name:  # the older field, which may hold the whole text
        made["licenses"] = [{"license": {"name": name}}]
    return made


def sbom() -> dict[str, Any]:
    """Lay the whole out."""
    packages = pinned((ROOT / ".ci/runtime.txt").read_text())
    components = [component(name, *of) for name, of in sorted(packages.items())]
    own = component(PROJECT, distribution(PROJECT).version, [])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": components,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [each["bom-ref"] for each in components]}],
    }


if __name__ == "__main__":
    json.dump(sbom(), sys.stdout, indent=2)
    sys.stdout.write("\n")
