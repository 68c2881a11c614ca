from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.rest.calls import add, new_thread, page

if TYPE_CHECKING:
    import httpx


def _text_of(message: Any) -> str:
    text: str = message["content"][0]["text"]["value"]
    return text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("👩‍👩‍👧‍👦 🇺🇳 👍🏽", id="emoji of several code points"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("\x01\x1f\x7f\x80\ufeff", id="control characters"),
        pytest.param("e\u0301 \u00e9", id="the same letter composed and not"),
        pytest.param("\u202eabc \u0627\u0644", id="right to left"),
        pytest.param("a\u2028b\u2029c\r\nd", id="line ends"),
        pytest.param("\uffff\U0010ffff", id="no characters"),
        pytest.param("\"'`\\ \\u0041 %s {} ; -- </script>", id="what programs would read something into"),
        pytest.param("  \n", id="nothing but blanks"),
    ],
)
async def test_unusual_text_is_returned_unchanged(rest: httpx.AsyncClient, thread_id: str, text: str) -> None:
    made = await add(rest, thread_id, text, metadata={text: text})

    [listed] = (await page(rest, f"/threads/{thread_id}/messages"))["data"]
    assert (_text_of(made), _text_of(listed), listed["metadata"]) == (text, text, {text: text})


@pytest.mark.parametrize(
    "character",
    [pytest.param("a", id="of one byte"), pytest.param("é", id="of two"), pytest.param("😀", id="of four")],
)
@pytest.mark.parametrize("as_part", [False, True], ids=["a string", "a part"])
async def test_256_000_characters_are_accepted(
    rest: httpx.AsyncClient, thread_id: str, character: str, *, as_part: bool
) -> None:
    text = character * 256_000

    message = await add(rest, thread_id, [{"type": "text", "text": text}] if as_part else text)

    assert _text_of((await rest.get(f"/threads/{thread_id}/messages/{message['id']}")).json()) == text


async def test_a_pair_of_surrogates_in_json_is_one_character(rest: httpx.AsyncClient, thread_id: str) -> None:
    body = b'{"role":"user","content":"\\ud83d\\ude00"}'

    answer = await rest.post(f"/threads/{thread_id}/messages", content=body)

    assert _text_of(answer.json()) == "😀"


async def test_the_last_of_two_equal_keys_counts(rest: httpx.AsyncClient, thread_id: str) -> None:
    body = b'{"role":"user","content":"one","content":"two"}'

    answer = await rest.post(f"/threads/{thread_id}/messages", content=body)

    assert _text_of(answer.json()) == "two"


@pytest.mark.parametrize("length", [pytest.param(64, id="keys"), pytest.param(512, id="values")])
async def test_metadata_is_counted_in_code_points(rest: httpx.AsyncClient, length: int) -> None:
    text = "😀" * length
    pair = {text: ""} if length == 64 else {"k": text}

    thread = await new_thread(rest, metadata=pair)

    assert (await rest.get(f"/threads/{thread['id']}")).json()["metadata"] == pair


async def test_a_thread_is_created_with_many_messages(rest: httpx.AsyncClient) -> None:
    given = [{"role": "user", "content": f"{n}"} for n in range(1_000)]

    thread = await new_thread(rest, messages=given)

    newest = await page(rest, f"/threads/{thread['id']}/messages", limit=100)
    assert [_text_of(each) for each in newest["data"]] == [f"{n}" for n in range(999, 899, -1)]


async def test_text_is_sent_as_utf_8_and_not_as_escapes(rest: httpx.AsyncClient, thread_id: str) -> None:
    await add(rest, thread_id, "é😀")

    answer = await rest.get(f"/threads/{thread_id}/messages")

    assert orjson.dumps({"value": "é😀", "annotations": []}) in answer.content
