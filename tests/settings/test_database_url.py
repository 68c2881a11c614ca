"""The one grammar of database URLs."""

from __future__ import annotations

import pytest

from gateway.settings.database_url import PostgresUrl, check_database_url, is_sqlite, parse_postgres

TWO = (("a", 5433), ("b", 5432))


@pytest.mark.parametrize(
    ("rest", "hosts"),
    [
        pytest.param("a:5433/threads", (("a", 5433),), id="one"),
        pytest.param("a:5433,b/threads", TWO, id="in the authority"),
        pytest.param("/threads?host=a:5433&host=b:5432", TWO, id="repeated parameter"),
        pytest.param("/threads?host=a:5433,b", TWO, id="one parameter"),
        pytest.param("/threads?host=a,b&port=5433,5432", TWO, id="ports of their own"),
        pytest.param("a,b/threads?port=5433,5432", TWO, id="hosts there, ports here"),
        pytest.param("a,b/threads?port=6000", (("a", 6000), ("b", 6000)), id="one port"),
        pytest.param("[::1]:5433,[fe80::1]/threads", (("::1", 5433), ("fe80::1", 5432)), id="IPv6"),
        pytest.param("/threads?host=%2Ftmp%2Fpg&port=6000", (("/tmp/pg", 6000),), id="socket"),  # noqa: S108
        pytest.param("%2Ftmp%2Fpg/threads", (("/tmp/pg", 5432),), id="socket in the authority"),  # noqa: S108
        pytest.param("/threads", ((None, 5432),), id="none"),
    ],
)
def test_hosts_are_read_in_every_spelling(rest: str, hosts: tuple[tuple[str | None, int], ...]) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+asyncpg"):
        parsed = parse_postgres(f"{scheme}://app:secret@{rest}")

        assert (parsed.hosts, parsed.user, parsed.password, parsed.database) == (hosts, "app", "secret", "threads")


def test_several_hosts_want_one_that_takes_writes() -> None:
    assert parse_postgres("postgresql://a/threads").target == "any"
    assert parse_postgres("postgresql://a,b/threads").target == "read-write"
    assert parse_postgres("postgresql://a,b/threads?target_session_attrs=any").target == "any"


def test_parameters_are_read() -> None:
    parsed = parse_postgres(
        "postgresql://a/?dbname=threads&user=app&password=s%40&sslmode=verify-full&sslrootcert=/ca.pem"
        "&command_timeout=2.5&connect_timeout=1&application_name=chat&pgbouncer=transaction"
    )

    assert parsed == PostgresUrl(
        (("a", 5432),),
        "app",
        "s@",
        "threads",
        driver={"sslrootcert": "/ca.pem", "sslmode": "verify-full"},
        session={"application_name": "chat"},
        command_timeout_s=2.5,
        connect_timeout_s=1.0,
        by_transaction=True,
    )


def test_ssl_is_another_name_of_sslmode() -> None:
    assert parse_postgres("postgresql://a/b?ssl=require") == parse_postgres("postgresql://a/b?sslmode=require")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(
            "postgresql://a/b?colour=red", "unknown parameter 'colour'; known are application_name", id="name"
        ),
        pytest.param("postgresql://a/b?sslmode=yes", "expected sslmode=disable or allow", id="mode"),
        pytest.param("postgresql://a/b?ssl=disable&sslmode=disable", "expected ssl or sslmode", id="both modes"),
        pytest.param("postgresql://a/b?command_timeout=soon", "expected command_timeout in seconds", id="seconds"),
        pytest.param("postgresql://a/b?connect_timeout=nan", "expected connect_timeout in seconds", id="no number"),
        pytest.param("postgresql://a/b?target_session_attrs=standby", "expected target_session_attrs=any", id="target"),
        pytest.param("postgresql://a/b?pgbouncer=session", "expected pgbouncer=transaction", id="pooler"),
        pytest.param("postgresql://a/b?dbname=c&dbname=d", "expected the parameter dbname once", id="twice"),
        pytest.param("postgresql://a/b?ssl", "expected parameters as ?NAME=VALUE", id="no value"),
        pytest.param("postgresql://a/b?host=c", "expected hosts before the name", id="hosts twice"),
        pytest.param("postgresql://a,b,c/d?port=1,2", "expected one port, or one for each host", id="ports"),
        pytest.param("postgresql://a:port/b", "not a valid URL", id="port in words"),
        pytest.param("postgresql://a:65536/b", "not a valid URL", id="port too high"),
        pytest.param("postgresql://a/b?port=0", "not a valid URL", id="port zero"),
        pytest.param("mysql://a/b", "expected sqlite:///FILE or postgresql://", id="another database"),
    ],
)
def test_what_is_not_understood_is_refused(url: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        check_database_url(url)

    assert str(refused.value).startswith(expected)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_postgres("postgresql://app:secret@a/b?sslpassword=secret"))
    with pytest.raises(ValueError, match="not a valid URL") as refused:
        parse_postgres("postgresql://app:secret@x@a:b/c")
    assert "secret" not in str(refused.value)


def test_a_file_of_sqlite_is_recognized() -> None:
    assert [is_sqlite(url) for url in ("sqlite:///a", "sqlite+aiosqlite:///a", "postgresql://a/b")] == [
        True,
        True,
        False,
    ]
