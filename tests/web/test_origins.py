from __future__ import annotations

import pytest

from gateway.web.origins import LOOPBACK, OriginPolicy, Origins, default_hosts
from gateway.web.request import Headers, as_headers

LISTED = OriginPolicy(("threads.example.com", "*.apps.example.com", "[::1]"), Origins("https://app.example.com"))


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("threads.example.com", True),
        ("threads.example.com:8443", True),
        ("THREADS.Example.Com.", True),
        ("one.apps.example.com", True),
        ("two.one.apps.example.com:80", True),
        ("[::1]:8000", True),
        ("[::1]", True),
        ("apps.example.com", False),
        ("evilapps.example.com", False),
        ("threads.example.com.evil.example", False),
        ("evil.example:threads.example.com", False),
        ("[::2]:8000", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_a_server_accepts_its_configured_host_names(host: str, *, is_ours: bool) -> None:
    assert LISTED.allows_host(_headers(host=host)) is is_ours


def test_a_request_without_a_host_header_is_not_allowed() -> None:
    assert not LISTED.allows_host(_headers())


def test_a_request_with_two_host_headers_is_not_allowed() -> None:
    assert not LISTED.allows_host(Headers([(b"host", b"threads.example.com")] * 2))


def test_a_server_without_host_names_accepts_any() -> None:
    assert OriginPolicy().allows_host(_headers(host="anything.example"))


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        pytest.param("127.0.0.1", (*LOOPBACK, "127.0.0.1"), id="this machine"),
        pytest.param("127.0.0.9", (*LOOPBACK, "127.0.0.9"), id="another address of this machine"),
        pytest.param("localhost", (*LOOPBACK, "localhost"), id="this machine by name"),
        pytest.param("::1", (*LOOPBACK, "[::1]"), id="this machine over IPv6"),
        pytest.param("0.0.0.0", (), id="every address"),  # noqa: S104  (nothing listens)
        pytest.param("10.0.0.5", (), id="an address in the network"),
        pytest.param("box", (), id="a name in the network"),
    ],
)
def test_default_host_names_depend_on_the_address(address: str, hosts: tuple[str, ...]) -> None:
    assert default_hosts(address) == hosts


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        pytest.param({}, False, id="a program"),
        pytest.param({"origin": "https://gateway"}, False, id="our own page, behind TLS"),
        pytest.param({"sec-fetch-site": "same-origin", "origin": "https://inner"}, False, id="our own page, renamed"),
        pytest.param({"sec-fetch-site": "none"}, False, id="a person"),
        pytest.param({"origin": "https://app.example.com", "sec-fetch-site": "cross-site"}, False, id="let in"),
        pytest.param({"origin": "http://app.example.com"}, True, id="let in by https only"),
        pytest.param({"origin": "https://app.example.com:444"}, True, id="let in at another port only"),
        pytest.param({"origin": "https://evil.example"}, True, id="another origin"),
        pytest.param({"origin": "http://gateway:1"}, True, id="another port of ours"),
        pytest.param({"origin": "null"}, True, id="a sandbox"),
        pytest.param({"origin": "http://["}, True, id="no origin at all"),
        pytest.param({"sec-fetch-site": "cross-site"}, True, id="another site that hides its name"),
        pytest.param({"sec-fetch-site": "same-site"}, True, id="a sister site"),
    ],
)
def test_a_cross_origin_request_is_detected(headers: dict[str, str], *, is_foreign: bool) -> None:
    assert LISTED.is_cross_origin(_headers(host="gateway", **headers)) is is_foreign


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://pr-7.preview.example.com", True),
        ("https://a.b.preview.example.com", True),
        ("https://pr_7.preview.example.com", True),
        ("http://one.localhost:3000", True),
        ("https://app.example.com", True),
        ("https://preview.example.com", False),
        ("https://.preview.example.com", False),
        ("https://evilpreview.example.com", False),
        ("https://pr-7.preview.example.com:8443", False),
        ("http://pr-7.preview.example.com", False),
        ("https://pr-7.preview.example.com.evil.example", False),
        ("https://evil.example/.preview.example.com", False),
        ("https://evil.example#.preview.example.com", False),
        ("https://user@pr-7.preview.example.com", False),
        ("https://pr-7.previewXexample.com", False),
        ("https://pr-7.preview.example.com\n", False),
        ("http://one.localhost", False),
        ("https://" + "a." * 30_000 + "preview.example.com", False),
        ("null", False),
        (None, False),
    ],
)
def test_subdomains_of_a_named_parent_are_allowed_at_any_depth(origin: str | None, *, is_allowed: bool) -> None:
    origins = Origins("https://app.example.com", "https://*.preview.example.com", "http://*.localhost:3000")

    assert (origin in origins) is is_allowed
    assert origin not in Origins()


def _headers(**given: str) -> Headers:
    return Headers(list(as_headers(given)))
