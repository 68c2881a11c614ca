"""What tests share: two databases by parameter, the store on each, and clients for both faces.

One PostgreSQL serves the whole run; each worker of pytest-xdist has a database of its own in it, made by our
migrations and emptied before each test. SQLite is a file a test, copied from one that our migrations made.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import fields
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import httpx2
import pytest
from coverage import Coverage
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.app import serve_store
from gateway.domain.principal import Principal, Reach
from gateway.events.hub import Hub
from gateway.graphql.execution import runner
from gateway.graphql.options import Options
from gateway.store.engines.base import Engines
from gateway.store.engines.open import open_engines
from gateway.store.schema.migrate import migrate
from gateway.store.schema.tables import metadata
from gateway.store.store import Store
from tests import effort, pace
from tests.clients import node
from tests.faces import GraphQL
from tests.postgres import postgres_server
from tests.store.hash_partitions import LAYOUT, lay_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import QueuePool

URL_VARIABLE = "GATEWAY_TEST_POSTGRES_URL"
# All fixtures that give a database come from one of these.
_DATABASES = {"sqlite_url", "new_sqlite_url", "database_url", "empty_database_url", "new_postgres_url", "live_server"}
_INSTALLED = {"node_clients", "old_sdk"}
_IS_COUNTED = pytest.StashKey[bool]()
# All in one message to the server; a twentieth of the time of TRUNCATE, which makes new files.
_EMPTY = ";".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table.name != "epochs")  # noqa: S608  (our tables)

# A client reads all certificates of the system when it is made, which takes 30 ms; these are made by hundreds.
for _clients in (httpx, httpx2):
    vars(_clients._transports.default)["create_ssl_context"] = cache(_clients.create_ssl_context)  # noqa: SLF001


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what takes long, and try everything more often")
    parser.addoption(
        "--operations",
        choices=("compiled", "normal"),
        default="compiled",
        help="how GraphQL operations are executed in this process: compiled from the first time on, or never",
    )
    parser.addoption("--without-postgres", action="store_true", help="skip what needs PostgreSQL")


def pytest_configure(config: pytest.Config) -> None:
    effort.choose(is_slow=config.getoption("--slow"))
    config.pluginmanager.register(pace)
    runner.COMPILES = config.getoption("--operations") == "compiled"
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.getoption("--without-postgres") or config.option.collectonly or URL_VARIABLE in os.environ:
        return
    server = postgres_server()
    os.environ[URL_VARIABLE] = server.__enter__()  # workers inherit it

    def stop() -> None:
        del os.environ[URL_VARIABLE]
        server.__exit__(None, None, None)

    config.add_cleanup(stop)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        _leave_out_repeated(config, items)
    _choose_counted(items)
    pace.sort(config, items)
    for item in items:
        if config.getoption("--slow"):
            item.add_marker(pytest.mark.timeout(1200))
        elif item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes long; run with --slow"))
        elif not _INSTALLED.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(300))  # the first of them installs, and the others wait for it
    pace.allow_more_time(config, items)


def _leave_out_repeated(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the examples of tests marked `one_on_postgres` that are not the first on PostgreSQL."""
    met: set[str] = set()
    repeated: list[pytest.Item] = []
    for item in items:
        if item.get_closest_marker("one_on_postgres") and _is_on_postgres(item):
            function = item.nodeid.partition("[")[0]
            if function in met:
                repeated.append(item)
            met.add(function)
    if repeated:
        config.hook.pytest_deselected(items=repeated)
        left_out = set(repeated)
        items[:] = [item for item in items if item not in left_out]


def _is_on_postgres(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    return given is not None and "postgres" in given.params.values()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what all tests share out of garbage collections, which took a tenth of the time of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _choose_counted(items: list[pytest.Item]) -> None:
    """Choose the tests whose lines are counted: those that may be the first to reach them.

    Python that is traced takes more than twice as long. What properties and PostgreSQL lead through, examples and
    SQLite do as well; of a table of examples that need a database, the first does most of it, but where the test is
    marked `counted`. Where something else is the only one to reach a line, the sum falls below its limit.
    """
    met: set[object] = set()
    for item in items:
        drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if drawn or _is_on_postgres(item) or item.get_closest_marker("uncounted"):
            continue
        function = item.nodeid.partition("[")[0]
        needs_database = not _DATABASES.isdisjoint(getattr(item, "fixturenames", ()))
        item.stash[_IS_COUNTED] = (
            function not in met or not needs_database or item.get_closest_marker("counted") is not None
        )
        met.add(function)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count the lines of those tests alone that were chosen for it."""
    counting = Coverage.current()
    if counting is None or item.stash.get(_IS_COUNTED, False):
        return (yield)
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(migrate(f"sqlite:///{file}"))
    return file


@contextmanager
def _postgres_database(config: pytest.Config, purpose: str, template: str = "template1") -> Iterator[str]:
    """Make a database that only this worker uses, and give its URL; without a template of ours it is empty."""
    if config.getoption("--without-postgres"):
        pytest.skip("PostgreSQL was left out by --without-postgres")
    server = os.environ[URL_VARIABLE]
    name = f"{purpose}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    asyncio.run(_run(server, drop, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_run(server, drop))


@pytest.fixture(scope="session")
def new_postgres_url(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Give the URL of another migrated, empty PostgreSQL database each time.

    What outlives a test takes one of its own: a server without keys requires them as soon as one is created in its
    database, and a module that is set up twice in a worker would find what it has left.
    """
    numbers = count(1)
    with ExitStack() as stack:

        @cache
        def template() -> str:
            url = stack.enter_context(_postgres_database(request.config, "template"))
            asyncio.run(migrate(url))
            if os.environ.get(LAYOUT) == "hash":
                asyncio.run(lay_out(url))
            return str(make_url(url).database)

        yield lambda: stack.enter_context(_postgres_database(request.config, f"copy{next(numbers)}", template()))


@pytest.fixture(scope="session")
def _migrated_postgres(new_postgres_url: Callable[[], str]) -> str:
    return new_postgres_url()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database without tables, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with _postgres_database(request.config, "empty") as url:
        yield url


async def _run(url: str, *statements: str) -> None:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


@pytest.fixture(scope="session")
def new_sqlite_url(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Give the URL of another migrated, empty SQLite file each time."""
    return lambda: f"sqlite:///{shutil.copy(_sqlite_template, tmp_path_factory.mktemp('database') / 'threads.db')}"


@pytest.fixture
def sqlite_url(_sqlite_template: Path) -> str:
    """Give the URL of a migrated, empty SQLite file; the URL is always the same, the file is not."""
    file = _sqlite_template.with_name("threads.db")
    for old in file.parent.glob("threads.db*"):
        old.unlink()
    shutil.copy(_sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
async def _postgres_engines(_migrated_postgres: str) -> AsyncIterator[Engines]:
    engines = _engines(_migrated_postgres)
    yield engines
    await Engines.dispose(engines)


@pytest.fixture
async def postgres_url(_migrated_postgres: str, _postgres_engines: Engines) -> str:
    """Give the URL of a migrated, empty PostgreSQL database."""
    if any([driver.is_closed() async for driver in _kept_connections(_postgres_engines)]):
        await Engines.dispose(_postgres_engines)  # the last test ended them
    async with _postgres_engines.reader.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute(_EMPTY)
    return _migrated_postgres


async def _kept_connections(engines: Engines) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        for engine in (engines.reader, engines.writer):
            for _ in range(_pool(engine).checkedin()):
                connection = await stack.enter_async_context(engine.connect())
                yield (await connection.get_raw_connection()).driver_connection


def _pool(engine: AsyncEngine) -> QueuePool:
    return cast("QueuePool", engine.pool)


class _Kept(Engines):
    """Engines of PostgreSQL whose connections wait for the next test: to make them takes as long as many a test."""

    __slots__ = ()

    async def dispose(self) -> None:
        """Close those alone that a test has not given back."""
        if any(_pool(engine).checkedout() for engine in (self.reader, self.writer)):
            await Engines.dispose(self)


def _wait_for_no_disk(connection: Any, _record: object) -> None:
    """Leave it to the system when what is committed comes to the disk: no test pulls the plug."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()


@cache
def _engines(url: str) -> Engines:
    """Keep what engines know of a kind of database, most of all its compiled statements."""
    opened = open_engines(url)
    if opened.is_sqlite:  # its file is another one in each test
        event.listen(opened.writer.sync_engine, "connect", _wait_for_no_disk)
        return opened
    return _Kept(*(getattr(opened, each.name) for each in fields(opened)))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of a migrated, empty database, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def client_cache(request: pytest.FixtureRequest) -> Path:
    """Give a folder that is kept between runs."""
    cache: Any = request.config.cache  # it is typed as if it could be missing
    return Path(cache.mkdir("clients"))


@pytest.fixture(scope="session")
def node_clients(client_cache: Path) -> Path:
    """Install what the scripts in `tests/clients` need, and give their folder."""
    return node.install(client_cache)


@pytest.fixture
def hub() -> Hub:
    """Hear of changes in this process."""
    return Hub()


@pytest.fixture
async def store(database_url: str, hub: Hub) -> AsyncIterator[Store]:
    """Open the store on each kind of database."""
    opened = Store(_engines(database_url), hub.wake)
    yield opened
    await opened.close()


@pytest.fixture
def who() -> Principal:
    """Be the one project that there is."""
    return Principal(Reach("default"))


@pytest.fixture
async def rest(store: Store, hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    """Call the application in this process, the paths counted from /v1."""
    # Who tests deadlines sets one; on a busy machine nothing else shall meet one.
    transport = httpx.ASGITransport(serve_store(store, Options(timeout_s=60), hub=hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
        yield client


@pytest.fixture
async def graphql(rest: httpx.AsyncClient) -> GraphQL:
    """Ask the GraphQL face of the same application."""
    return GraphQL(rest)


@pytest.fixture
async def thread_id(rest: httpx.AsyncClient) -> str:
    """Make a thread to work in."""
    made: dict[str, Any] = (await rest.post("/threads")).json()
    thread_id: str = made["id"]
    return thread_id
