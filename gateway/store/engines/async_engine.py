"""SQLAlchemy's asynchronous engines, loaded without its ORM.

The package `sqlalchemy.ext.asyncio` also loads what sessions need, the whole ORM: 8 MB of memory, and a tenth of a
server's start. Its module `engine` needs none of it.
Must not be here: the engines of our databases (`sqlite`, `postgres`).
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy.ext.asyncio import create_async_engine

_PACKAGE: Final = "sqlalchemy.ext.asyncio"


def _load() -> ModuleType:
    """Import the module while its package is there but not executed, as the first who imports it itself would do."""
    found = find_spec(_PACKAGE)
    if _PACKAGE in sys.modules or found is None:
        return import_module(f"{_PACKAGE}.engine")
    sys.modules[_PACKAGE] = module_from_spec(found)
    try:
        return import_module(f"{_PACKAGE}.engine")
    finally:
        del sys.modules[_PACKAGE]


if not TYPE_CHECKING:
    create_async_engine = _load().create_async_engine

__all__ = ["create_async_engine"]
