"""Bodies that cost much where a server is careless: each is refused, or ought to be, for next to nothing."""

from __future__ import annotations

import json
from typing import Final

CREATE_THREAD: Final = "mutation ($input: CreateThreadInput!) { createThread(input: $input) { thread { id } } }"
EMOJI: Final = "\U0001f600".encode()


def filled(unit: bytes, size: int, head: bytes = b"[", tail: bytes = b"]") -> bytes:
    """Repeat a value until the text is so long."""
    count = (size - len(head) - len(tail)) // (len(unit) + 1)
    return head + ((unit + b",") * count)[:-1] + tail


def numbered(unit: bytes, size: int, most: int) -> bytes:
    """Repeat a pair, with a number for `%d`, as often as fits and at most so often."""
    return b",".join(unit % n for n in range(min(most, size // (len(unit) + 5))))


def json_bombs(size: int) -> dict[str, bytes]:
    """Make texts that are no good whatever they are sent to."""
    return {
        "empty lists": filled(b"[]", size),
        "empty objects": filled(b"{}", size),
        "lists in each other": b"[" * size,
        "objects in each other": b'{"a":' * (size // 5),
        "lists that are only closed": b"[" * 200 + b"]" * (size - 200),
        "numbers": filled(b"1", size),
        "empty strings": filled(b'""', size),
        "quotation marks": b'"' * size,
        "backslashes": b'["' + b"\\\\" * (size // 2 - 40) + b'" , ' + b"[" * 4,
        "escaped quotation marks": b'["' + b'\\"' * (size // 2 - 40) + b'",]',
        "brackets in a string": b'["' + b"[{" * (size // 2 - 40) + b'",]',
        "keys": b"{" + numbered(b'"%d":1', size, 100_000) + b"}",
        "one key again and again": filled(b'"a":1', size, b"{", b"}"),
        "a number of all digits": b"9" * (size - 1) + b",",
        "numbers beyond all": filled(b"1e400", size),
        "bad UTF-8 at the end": b'["' + EMOJI + b"x" * (size - 20) + b'\xff"]',
        "no JSON at the end": b'["' + EMOJI + b"x" * (size - 20) + b'",}',
        "white space": b" " * size,
    }


def wide_bombs(size: int) -> dict[str, bytes]:
    """Make bodies of ASCII with one emoji in each string, which Python keeps with four bytes for each character."""
    half, many = size // 2 - 100, size // 105
    return {
        "two long strings with an emoji": b'{"metadata":{"a":'
        + filled(b'"%s"' % (b"s" * half + EMOJI), size - 20)
        + b"}}",
        "many strings with an emoji": b'{"metadata":{"a":' + filled(b'"%s"' % (b"s" * 96 + EMOJI), many * 103) + b"}}",
        "many keys with an emoji": b"{" + numbered(b'"%069d' + EMOJI + b'":1', size - 90_000, 49_000) + b"}",
        "many short strings with an emoji": b"{"
        + numbered(b'"%026d' + EMOJI + b'":"' + b"s" * 27 + EMOJI + b'"', size - 900_000, 49_000)
        + b"}",
        "many strings with an escaped emoji": b'{"metadata":{"a":'
        + filled(b'"%s\\ud83d\\ude00"' % (b"s" * 96), size - 100)
        + b"}}",
    }


def body_bombs(size: int) -> dict[str, bytes]:
    """Make the same, and bodies of createMessage or createThread that are refused for what is in them."""
    message = b'{"role":"user","content":"x"}'
    image = b'{"type":"image_url","image_url":{"url":"https://a.example/%s"}}' % (b"x" * 400)
    images = b'{"role":"user","content":' + filled(image, 400 * (len(image) + 1) + 2) + b"}"
    return {
        **json_bombs(size),
        "100,000 pairs of metadata": b'{"metadata":{' + numbered(b'"k%d":"x"', size, 100_000) + b"}}",
        "49,000 pairs of metadata": b'{"metadata":{' + numbered(b'"k%d":"x"', size, 49_000) + b"}}",
        "49,000 unknown fields": b"{" + numbered(b'"%060d":1', size, 49_000) + b"}",
        "a long text": b'{"role":"user","content":"' + b"x" * (size - 40) + b'"}',
        "a long text with an emoji": b'{"role":"user","content":"' + EMOJI + b"x" * (size - 44) + b'"}',
        "a long text of emoji": b'{"role":"user","content":"' + EMOJI * ((size - 40) // 4) + b'"}',
        "a long key": b'{"' + b"k" * (size - 10) + b'":1}',
        "a long role": b'{"content":"x","role":"' + b"r" * (size - 40) + b'"}',
        "12,000 parts": b'{"role":"user","content":'
        + filled(b'{"type":"text","text":"x"}', min(size, 12_000 * 27))
        + b"}",
        **wide_bombs(size),
        "15,000 messages": b'{"messages":' + filled(message, min(size, 15_000 * 30)) + b"}",
        "a fault at the end": b'{"messages":[' + b",".join([images] * 4) + b',{"role":"no","content":"x"}]}',
    }


def graphql_bombs(size: int) -> dict[str, bytes]:
    """Make the same as variables of a mutation, and documents."""
    inputs = {
        "3,000 messages": b'{"messages":' + filled(b'{"role":"USER","content":{"text":"x"}}', 2_900 * 39) + b"}",
        "3,000 wrong messages": b'{"messages":' + filled(b'{"role":"NO","content":{"text":"x"}}', 2_900 * 37) + b"}",
        "3,000 messages of nothing": b'{"messages":'
        + filled(b'{"rolf":"USER","contend":{"text":1}}', 2_900 * 37)
        + b"}",
        "5,000 parts": b'{"messages":[{"role":"USER","content":{"parts":'
        + filled(b'{"text":"x"}', 13 * 5_000)
        + b"}}]}",
        "11,000 tools": b'{"messages":[{"role":"USER","content":{"text":"x"},"attachments":[{"fileId":"a","tools":'
        + filled(b'"x"', 4 * 11_000)
        + b"}]}]}",
        "a long word": b'{"messages":[{"role":"' + b"r" * (size - 400) + b'","content":{"text":"x"}}]}',
        "a long key of an object": b'{"' + b"k" * (size - 400) + b'":1}',
    }
    inputs |= {name: body for name, body in body_bombs(size - 200).items() if body.startswith(b"{")}
    query = json.dumps(CREATE_THREAD).encode()
    return {
        **json_bombs(size),
        **{name: b'{"query":' + query + b',"variables":{"input":' + body + b"}}" for name, body in inputs.items()},
        "a long document": json.dumps({"query": "{ " + "a " * (size // 2 - 20) + "}"}).encode(),
        "a long name": json.dumps({"query": "{ " + "a" * 90_000 + " }"}).encode(),
    }
