"""Texts as users and models write them; the same number gives the same text every time.

An ordinary text has 100 to 2,000 characters; of twenty in a row, six have quotation marks and line breaks and two have
characters outside of ASCII, so that every page of 20 is alike.
Must not be here: messages (`messages`).
"""

from __future__ import annotations

import itertools
import random
from typing import Final

KINDS: Final = 20  # ordinary texts repeat in this cycle, with other words
_STEP: Final = 100  # characters from one length to the next
_SHUFFLE: Final = 7  # no divisor of KINDS: lengths do not come in their order
_QUOTED: Final = frozenset({1, 3, 7, 10, 13, 17})
_FOREIGN: Final = frozenset({7, 12})
_WORDS: Final = [
    "the",
    "a",
    "to",
    "of",
    "and",
    "in",
    "is",
    "it",
    "that",
    "you",
    "for",
    "this",
    "with",
    "on",
    "can",
    "be",
    "are",
    "we",
    "I",
    "have",
    "when",
    "not",
    "from",
    "or",
    "as",
    "your",
    "will",
    "but",
    "if",
    "which",
    "then",
    "there",
    "after",
    "before",
    "because",
    "should",
    "would",
    "could",
    "function",
    "returns",
    "list",
    "value",
    "table",
    "index",
    "query",
    "thread",
    "message",
    "server",
    "client",
    "error",
    "request",
    "response",
    "time",
    "first",
    "last",
    "next",
    "page",
    "cursor",
    "order",
    "number",
    "name",
    "file",
    "example",
    "however",
    "please",
    "try",
    "let",
    "me",
    "explain",
    "what",
    "happens",
    "here,",
    "instead:",
    "don't",
    "of",
    "course",
]
_QUOTES: Final = ('the field "id" is missing.\n\n', 'he said "yes"', '\n- "first" of them', "\n1. open it\n2. read it")
_ABROAD: Final = ("café", "naïve", "déjà vu", "“as is”", "— so", "Straße", "привет", "こんにちは", "👍", "🎉 👩‍💻")
_EVERY: Final = 24  # words from one such phrase to the next
_CODE: Final = (
    'def find(name: str) -> dict[str, "Item"]:',
    '    """Find all items of a name."""',
    "    pattern = re.compile(r\"^\\s*(\\w+)\\s*=\\s*'(.*)'$\")",
    "    for number, line in enumerate(text.split('\\n'), 1):",
    '        if "error" in line and not line.startswith("#"):',
    '\t\tprint(f"{number:>4}: {line!r}", file=sys.stderr)',
    '    return {key: value for key, value in found.items() if key != ""}',
    "",
    'const answer = await fetch(`/v1/threads/${id}?limit=20`, { headers: { "Accept": "application/json" } });',
    'if (!answer.ok && answer.status >= 400) { throw new Error("failed: " + answer.statusText); }',
    "SELECT \"id\", count(*) FROM messages WHERE role <> 'user' GROUP BY 1;",
)


def ordinary(number: int) -> str:
    """Write an ordinary text."""
    kind = number % KINDS
    chance = random.Random(number)  # noqa: S311  (nothing secret: the same every time)
    phrases = (_QUOTES if kind in _QUOTED else ()) + (_ABROAD if kind in _FOREIGN else ())
    return _written(chance, phrases, _STEP * (1 + kind * _SHUFFLE % KINDS))


def foreign(number: int) -> str:
    """Write a text of a thousand characters that has emoji and foreign words throughout."""
    return _written(random.Random(number), _ABROAD, 1_000)  # noqa: S311  (the same every time)


def code(number: int, size: int) -> str:
    """Write a block of code of so many bytes."""
    chance = random.Random(number)  # noqa: S311  (the same every time)
    lines, length = ["Here it is:", "```python"], 25
    while length < size:
        lines.append(chance.choice(_CODE))
        length += len(lines[-1]) + 1
    return "\n".join([*lines, "```"])[:size]


def _written(chance: random.Random, phrases: tuple[str, ...], length: int) -> str:
    words, written = list[str](), 0
    special = itertools.cycle(phrases)
    while written < length:
        is_special = phrases and len(words) % _EVERY == _EVERY // 2
        words.append(next(special) if is_special else chance.choice(_WORDS))
        written += len(words[-1]) + 1
    return " ".join(words)[:length]
