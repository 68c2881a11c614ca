"""Our description of the REST face agrees with the program, and with the original's wherever both speak."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest
import yaml

from gateway.domain import bounds
from gateway.domain.page import DEFAULT_LIMIT, MAX_LIMIT
from gateway.rest import render
from gateway.rest.routes import PATHS, PREFIXES, RUN_PATHS
from tests.live.server import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

DOCUMENT: Final = orjson.loads((ROOT / "gateway/rest/openapi.json").read_bytes())
OFFICIAL, OFFICIAL_RUNS = (
    yaml.safe_load(Path(__file__).with_name(name).read_text()) for name in ("official.yaml", "official_runs.yaml")
)
OFFICIAL["paths"].update(OFFICIAL_RUNS["paths"])
OFFICIAL["components"]["schemas"].update(OFFICIAL_RUNS["components"]["schemas"])
SCHEMAS: Final = DOCUMENT["components"]["schemas"]
_METHODS: Final = frozenset({"get", "post", "delete", "put", "patch"})
_ANNOTATIONS: Final = frozenset({"description", "summary", "servers", "x-ours"})
_SAYS_NOTHING: Final = object()
_NULLABLE: Final = {"nullable": True}

_LIMITS = "the original tells its limits in descriptions and refusals only"
_REFUSED = "the original refuses what it does not know, though its schema does not say so (rest-contract §4)"
# Where each statement of the original that ours differs from stands, and why it does.
DIFFERENCES: Final = {
    "*.maxLength": _LIMITS,
    "*.minLength": _LIMITS,
    "*.maxProperties": _LIMITS,
    "*.maxItems": "ours: the original had no such bounds, or told nobody",
    "*.propertyNames": _LIMITS,
    "*.minimum": _LIMITS,
    "*.maximum": _LIMITS,
    "*.pattern": "ids, cursors and addresses are checked",
    "*.additionalProperties": _REFUSED,
    "*.url.format": "letters beyond ASCII are taken in addresses, which `uri` does not let; the pattern says the rest",
    "*.first_id.type": "null in an empty list, as the original sent it (rest-contract §2.5)",
    "*.last_id.type": "the same",
    "*.attachments.anyOf.0.required": "the original has it beside `items`, where it says nothing",
    "*.attachments.anyOf.0.items.required": "so it stands within here",
    "*Request.properties.tool_resources.anyOf.0.properties.code_interpreter.*": "null stands for what is not there",
    "*Request.properties.tool_resources.anyOf.0.properties.file_search.*": "the same; and no vector stores are made",
    "*.Modify*Request.properties.metadata.$ref": "here a pair can be taken away",
    "*.properties.owner": "ours: end users",
    "paths./threads.post.parameters": "ours: idempotency keys",
    "*.post.parameters.Idempotency-Key": "the same",
    "*.parameters.expand[[][]]": "the same",
    "*.properties.idempotency_key": "the same",
    "*.properties.last_*": "ours: the last message of each thread of a list",
    "*ead_id}/fork": "ours: copies of threads",
    "components.schemas.ForkThreadRequest": "the same",
    "*.file_citation.properties.quote": "older messages carry it (rest-contract §2.4), and imports keep it",
    "components.schemas.MessageContentTextAnnotations*.*_index.type": "Azure's agents leave it out; imports keep that",
    "components.schemas.MessageContentTextAnnotations*.required.*": "the same",
    "components.schemas.MessageContentTextAnnotationsUrlCitationObject": "the same: Azure's agents cite the web",
    "*.annotations.items.oneOf.2": "the same",
    "components.schemas.MessageObject.*.attachments.anyOf.0.items.properties.*.type": "the same: its data sources",
    "components.schemas.ThreadObject.*.tool_resources.anyOf.0.properties.*.type": "SDKs write null; imports keep it",
    "*.requestBody.required": "clients send no body for an empty one (rest-contract §1)",
    "*.responses.200.headers": "ours: the id of the request, and what is left of the rate limit",
    "*.responses.*.headers.x-*": "the same",
    "*.responses.4*": "the original declares no refusals but 429",
    "*.responses.5*": "the same",
    "paths./threads.get": "ours: the original never let keys list threads",
    "*.text/event-stream": "the original describes its streams apart",
    "*.RunEvent": "the same",
    "paths./threads/runs.post.parameters": "ours: idempotency keys",
    "paths./assistants.post.parameters": "ours: idempotency keys",
    "*.parameters.Last-Event-ID": "ours: streams can be resumed",
    "*.parameters.include[[][]]": "it asks for what a file search has found, and none is run",
    "*.properties.model.*": "any name that the settings have",
    "*AssistantRequest.properties.tools.type": "null stands for what is not there",
    "*.properties.tools.items.*": "functions alone are run",
    "*.properties.tool_calls.items.*": "the same",
    "*.AssistantsNamedToolChoice.*": "the same",
    "*.CreateThreadAndRunRequest.properties.reasoning_effort": "taken as of createRun",
    "*.CreateThreadAndRunRequest.properties.thread.*": "null stands for what is not there",
    "*.CreateThreadAndRunRequest.properties.tool_resources.*": "the same",
    "*.properties.parallel_tool_calls.*": "the same",
    "*.properties.parameters.*": "the same",
    "*.properties.schema.*": "the same",
    "*.tool_outputs.items.properties.output.type": "the same",
    "*.tool_outputs.items.required": "the original refuses outputs of no call",
    "*.List*Response.properties.object.enum": "the original's example says as much",
    "*.ListMessagesResponse.type": "the same",
    "*.ListRunStepsResponse.type": "the same",
    "*.*Object.properties.reasoning_effort": "the original sent it, undescribed (contract of runs)",
    "*.RunObject.properties.tool_resources": "the same",
    "*.RunStepObject.properties.expires_at": "the same",
    "*CompletionUsage.*_details": "the same",
    "*.incomplete_details.*.content_filter": "the model's own reason, which the original had no name for",
    "*.RunStepObject.*.invalid_prompt": "a step says why its run failed",
    "paths./healthz": "ours: for balancers and supervisors",
    "paths./readyz": "the same",
    "components.securitySchemes.AzureApiKey": "Azure's, who served the same API",
    "security.1": "the same",
    "components.schemas.ListThreadsResponse": "ours: the list of threads",
    "components.schemas.MetadataPatch": "ours: null takes a pair away",
    "components.schemas.Alive": "ours: the probes",
    "components.schemas.*Ready": "the same",
}


def resolved(document: Any, at: Any) -> Any:
    """Put parameters, headers and responses in the place of what refers to them; schemas keep their names."""
    if isinstance(at, list):
        return [resolved(document, each) for each in at]
    if not isinstance(at, dict):
        return at
    where = at.get("$ref", "#/components/schemas/")
    if not where.startswith("#/components/schemas/"):
        _, _, kind, name = where.split("/")
        return resolved(document, document["components"][kind][name])
    return with_null({key: resolved(document, value) for key, value in at.items()})


def with_null(schema: Any) -> Any:
    """Say `nullable`, which OpenAPI 3.1 does not have, in its way."""
    kept = {key: value for key, value in schema.items() if key != "nullable"}
    choices = [each for each in kept.get("anyOf", kept.get("allOf", [kept])) if each != _NULLABLE]
    if not kept or (kept == schema and choices == kept.get("allOf", choices)):
        return schema
    return {**kept, "type": [kept["type"], "null"]} if "type" in kept else {"anyOf": [*choices, {"type": "null"}]}


def statements(document: Any) -> Any:
    """Give what a description says: of paths, security and schemas, in a form that can be compared."""
    kept = {key: document[key] for key in ("paths", "security")}
    components = {key: document["components"][key] for key in ("securitySchemes", "schemas")}
    return resolved(document, {**kept, "components": components})


def differences(theirs: Any, ours: Any, at: str = "") -> Iterator[str]:
    """Name each place at which two descriptions differ; the order of a list of words does not count."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours} - _ANNOTATIONS):
            below = f"{at}.{key}" if at else key
            yield from differences(theirs.get(key, _SAYS_NOTHING), ours.get(key, _SAYS_NOTHING), below)
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from differences(_by_name(theirs), _by_name(ours), at)
    elif theirs != ours:
        yield at


def _by_name(items: list[Any]) -> dict[str, Any]:
    """Index a list by what identifies its items: their name, themselves, or else their place."""
    return {str(each.get("name", place) if isinstance(each, dict) else each): each for place, each in enumerate(items)}


FOUND: Final = sorted(set(differences(statements(OFFICIAL), statements(DOCUMENT))))


def operations(paths: Any) -> set[tuple[str, str]]:
    """Name the operations of a description, without those at the root, which are no part of the API."""
    return {
        (path, method.upper())
        for path, item in paths.items()
        if "servers" not in item
        for method in item
        if method in _METHODS
    }


def test_every_difference_from_the_original_has_its_reason() -> None:
    assert [each for each in FOUND if not any(fnmatchcase(each, place) for place in DIFFERENCES)] == []


@pytest.mark.parametrize("place", DIFFERENCES)
def test_each_documented_difference_exists(place: str) -> None:
    assert any(fnmatchcase(each, place) for each in FOUND)


def test_a_difference_is_found_at_any_position() -> None:
    theirs = {"a": {"enum": ["x", "y"]}, "b": 1, "description": "theirs"}
    ours = {"a": {"enum": ["y"]}, "c": 1, "description": "ours"}

    assert list(differences(theirs, ours)) == ["a.enum.x", "b", "c"]


def test_openapi_has_exactly_the_routed_operations() -> None:
    routed = {(path, method) for path, endpoints in (*PATHS.items(), *RUN_PATHS.items()) for method in endpoints}

    assert operations(DOCUMENT["paths"]) == routed


def test_it_has_every_operation_of_the_original_under_its_name() -> None:
    names = {
        (path, method): operation["operationId"]
        for path, item in OFFICIAL["paths"].items()
        for method, operation in item.items()
    }

    assert {(path, method): DOCUMENT["paths"][path][method]["operationId"] for path, method in names} == names


def test_it_names_every_prefix_as_a_server() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == list(PREFIXES)


def test_every_error_status_is_documented_for_an_operation() -> None:
    told = {status for path, method in operations(DOCUMENT["paths"]) for status in _responses(path, method)}

    # What no operation can answer, since it answers for those that are not there: 405.
    assert {str(status) for status in render.STATUS.values()} - told == {"405"}


def _responses(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]["responses"]
    return found


def test_its_limits_are_those_of_the_program() -> None:
    content = SCHEMAS["CreateMessageRequest"]["properties"]["content"]["oneOf"][0]
    image = SCHEMAS["MessageContentImageUrlObject"]["properties"]["image_url"]["properties"]["url"]
    pairs = SCHEMAS["Metadata"]["anyOf"][0]
    limit = DOCUMENT["components"]["parameters"]["Limit"]["schema"]

    assert (content["maxLength"], image["maxLength"]) == (bounds.TEXT.number, bounds.URL.number)
    assert (pairs["maxProperties"], pairs["propertyNames"]["maxLength"]) == (
        bounds.METADATA_PAIRS.number,
        bounds.METADATA_KEY.number,
    )
    assert pairs["additionalProperties"]["maxLength"] == bounds.METADATA_VALUE.number
    assert (limit["maximum"], limit["default"]) == (MAX_LIMIT, DEFAULT_LIMIT)


def test_openapi_arrays_have_the_limits_of_the_program() -> None:
    content, attachments = (SCHEMAS["CreateMessageRequest"]["properties"][name] for name in ("content", "attachments"))
    [parts] = [each for each in content["oneOf"] if each["type"] == "array"]
    [files] = [each for each in attachments["anyOf"] if each["type"] == "array"]
    lengths = {
        bounds.CONTENT_PARTS: parts,
        bounds.ATTACHMENTS: files,
        bounds.ATTACHMENT_TOOLS: files["items"]["properties"]["tools"],
        bounds.THREAD_MESSAGES: SCHEMAS["CreateThreadRequest"]["properties"]["messages"],
        bounds.ASSISTANT_TOOLS: SCHEMAS["CreateAssistantRequest"]["properties"]["tools"],
        bounds.RUN_TOOLS: SCHEMAS["CreateRunRequest"]["properties"]["tools"],
        bounds.ADDITIONAL_MESSAGES: SCHEMAS["CreateRunRequest"]["properties"]["additional_messages"],
        bounds.TOOL_CALLS: SCHEMAS["SubmitToolOutputsRunRequest"]["properties"]["tool_outputs"],
    }

    assert {each.name: each.number for each in lengths} == {
        bound.name: schema["maxItems"] for bound, schema in lengths.items()
    }


def test_its_version_is_that_of_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert DOCUMENT["info"]["version"] == project["version"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_openapi_is_served_without_authentication(rest: httpx.AsyncClient, method: str) -> None:
    answer = await rest.request(method, "http://gateway/openapi.json")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert method == "HEAD" or answer.json() == DOCUMENT


async def test_openapi_is_read_only(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("http://gateway/openapi.json")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["message"] == "Invalid method for URL (POST /openapi.json)"
