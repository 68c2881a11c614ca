"""Small documents that are expensive to process, which must be refused quickly."""

from __future__ import annotations

from typing import Final


def fan_out(levels: int) -> str:
    """Spread each fragment twice in the one before it."""
    fragments = (f"fragment f{n} on Thread {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels))
    return f"{{ threads {{ nodes {{ ...f0 }} }} }} {' '.join(fragments)} fragment f{levels} on Thread {{ id }}"


def in_one_place(count: int, selection: str) -> str:
    """Spread fragments in one place, and ask there for a field that does not exist."""
    spreads = " ".join(f"...f{n}" for n in range(count))
    fragments = " ".join(f"fragment f{n} on Thread {{ {selection} }}" for n in range(count))
    return f"{{ threads {{ nodes {{ nope {spreads} }} }} }} {fragments}"


def numbered(text: str, count: int) -> str:
    """Repeat a text with a number in it."""
    return " ".join(text.replace("#", str(n)) for n in range(count))


def ring(count: int) -> str:
    """Let fragments spread each other in a ring."""
    fragments = (
        f"fragment f{n} on Query {{ threads {{ nodes {{ id }} }} ...f{(n + 1) % count} }}" for n in range(count)
    )
    return f"{{ ...f0 }} {' '.join(fragments)}"


_LOOP: Final = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
_ALIASED: Final = numbered("a#: fields { type { fields { name } } }", 25)

# What it is, the document, the code of the refusal.
DOCUMENTS: Final = (
    ("fragment fan-out, 18 levels", fan_out(18), "too_many_fields"),
    ("fragment fan-out, 40 levels", fan_out(40), "too_many_fields"),
    ("fragments nested deeper than the stack", fan_out(97), "too_deep"),
    ("10,000 repeated fields", "{ threads { nodes { " + "id " * 10_000 + "} } }", "document_too_large"),
    ("900 repeated fields", "{ threads { nodes { " + "id " * 900 + "} } }", "too_many_fields"),
    ("140 repeated fields with fields", "{ " + "threads { nodes { id } } " * 140 + "}", "too_many_fields"),
    ("as many pairs as are compared", "{ " + "threads { nodes { nope } } " * 36 + "}", "graphql_error"),
    ("60 overlapping fragments", in_one_place(60, "messages { nodes { id } }"), "too_many_fields"),
    ("30 overlapping fragments", in_one_place(30, "messages { nodes { id } }"), "graphql_error"),
    ("44 overlapping fragments", in_one_place(44, "id"), "graphql_error"),
    ("900 aliases", "{ " + numbered("a#: __typename", 900) + " }", "document_too_large"),
    ("300 aliases", "{ " + numbered("a#: __typename", 300) + " }", "too_many_aliases"),
    (
        "aliases by fragments",
        "{ ...a ...a } fragment a on Query { " + numbered("a#: __typename", 16) + " }",
        "too_many_aliases",
    ),
    ("a root of many fields", "{ " + numbered("field#", 21) + " }", "too_many_root_fields"),
    ("450 directives on a field", "{ __typename " + "@a " * 450 + "}", "too_many_directives"),
    ("450 directives on a variable", "query ($a: ID " + "@a " * 450 + ") { __typename }", "too_many_directives"),
    ("450 directives on an operation", "query " + "@a " * 450 + "{ __typename }", "too_many_directives"),
    ("levels of fields", "{ a " * 21 + "} " * 21, "too_deep"),
    ("5,000 open levels", "{ a " * 5_000, "too_deep"),
    ("150 inline fragments in each other", "{ ... " * 150 + "{ __typename " + "} " * 151, "too_deep"),
    ("deep lists in the document", "{ nodes(ids: " + "[" * 190 + "]" * 190 + ") { id } }", "too_deep"),
    ("deep objects in the document", "{ nodes(ids: " + "{ a: " * 190 + "1" + "}" * 190 + ") { id } }", "too_deep"),
    ("deep lists in a directive", "{ a @skip(if: " + "[" * 190 + "]" * 190 + ") }", "too_deep"),
    ("7,000 open lists", "{ nodes(ids: " + "[" * 7_000, "too_deep"),
    ("490 objects in a list", "{ nodes(ids: [" + "{} " * 490 + "]) { id } }", "graphql_error"),
    (
        "320 unknown keys of an input",
        "mutation { createMessage(input: { " + numbered("threadI#: 1", 320) + " }) { message { id } } }",
        "graphql_error",
    ),
    ("300 unknown arguments", "{ threads(" + numbered("firs#: 1", 300) + ") { nodes { id } } }", "graphql_error"),
    ("140 unknown types", "{ id } " + numbered("fragment f# on Threa# { id }", 140), "graphql_error"),
    ("490 unknown variables", "{ nodes(ids: [" + numbered("$v#", 490) + "]) { id } }", "graphql_error"),
    ("245 unused variables", "query (" + numbered("$v#: ID", 245) + ") { __typename }", "graphql_error"),
    ("fragments in a ring", ring(30), "graphql_error"),
    ("a fragment in itself", "{ ...a } fragment a on Query { ...a }", "graphql_error"),
    ("120 fragments of one name", "{ ...a } " + "fragment a on Query { __typename } " * 120, "graphql_error"),
    ("cyclic introspection", _LOOP, "graphql_error"),
    ("aliased introspection", "{ __schema { types { " + _ALIASED + " } } }", "too_costly"),
    ("deep introspection", "{ __schema { types " + "{ ofType " * 60 + "{ name " + "} " * 62 + "}", "too_deep"),
    ("7,000 comments", "#\n" * 7_000 + "{ a }", "document_too_large"),
    ("15,000 commas", "," * 15_000 + "{ a }", "graphql_error"),
    ("a long name", "{ " + "a" * 14_900 + " }", "document_too_large"),
    ("a long number", "{ threads(first: " + "9" * 14_000 + ") { nodes { id } } }", "graphql_error"),
    ("a text in many lines", '{ node(id: """' + "\n x" * 4_900 + '""") { nope } }', "graphql_error"),
    ("definitions of types", "type A { a: Int } " * 120, "graphql_error"),
    ("pages in pages", "{ threads(first: 100) { nodes { messages(first: 100) { nodes { id } } } } }", "too_costly"),
)

_CREATE: Final = "mutation ($a: CreateThreadInput!) { createThread(input: $a) { thread { id } } }"
_FIND: Final = "query ($a: [ID!]!) { nodes(ids: $a) { id } }"

# What it is, the document, the JSON of its variables, the code of the refusal.
VARIABLES: Final = (
    ("7,000 lists in each other", _FIND, '{"a":' + "[" * 7_000 + "]" * 7_000 + "}", "too_deep"),
    ("900 objects in each other", _CREATE, '{"a":' * 900 + "1" + "}" * 900, "too_deep"),
    ("100 lists in each other", _FIND, '{"a":' + "[" * 100 + "]" * 100 + "}", "variables_too_large"),
    ("100 objects in each other", _CREATE, '{"a":' * 100 + "1" + "}" * 100, "variables_too_large"),
    ("300,000 values", _FIND, '{"a":[' + ",".join(["1"] * 300_000) + "]}", "too_many_values"),
    ("300,000 lists", _FIND, '{"a":[' + ",".join(["[]"] * 300_000) + "]}", "too_many_values"),
    ("a long word", _CREATE, '{"a":{"messages":[{"role":"' + "r" * 900_000 + '"}]}}', "graphql_error"),
    ("a long key", _CREATE, '{"a":{"' + "k" * 900_000 + '":1}}', "graphql_error"),
    ("60,000 keys", _CREATE, '{"a":{' + numbered('"key#":1,', 60_000).rstrip(",") + "}}", "too_many_values"),
    ("17 lists in each other", _FIND, '{"a":' + "[" * 16 + "]" * 16 + "}", "variables_too_large"),
    ("7,000 empty objects", _FIND, '{"a":[' + ",".join(["{}"] * 5_000) + "]}", "graphql_error"),
    ("7,000 ids", _FIND, '{"a":[' + ",".join(["1"] * 7_000) + "]}", "too_costly"),
    ("21,000 values", _FIND, '{"a":[' + ",".join(["1"] * 21_000) + "]}", "variables_too_large"),
    ("1,000 unknown keys", _CREATE, '{"a":{' + numbered('"messag#":1,', 1_000).rstrip(",") + "}}", "graphql_error"),
    ("5,000 empty messages", _CREATE, '{"a":{"messages":[' + ",".join(["{}"] * 4_800) + "]}}", "graphql_error"),
)
