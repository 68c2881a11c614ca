"""What is loaded is not looked through for garbage, while it is loaded and afterwards; all else is."""

from __future__ import annotations

import gc

import pytest

from gateway.server.quick_imports import loading


def test_garbage_collection_is_disabled_during_imports() -> None:
    with loading():
        looked = gc.isenabled()

    assert (looked, gc.isenabled()) == (False, True)


def test_loaded_objects_are_exempt_from_garbage_collection() -> None:
    with loading():
        loaded = [{"a module's": "objects"}]

    assert all(each is not loaded for each in gc.get_objects())


def test_garbage_collection_is_enabled_again_after_a_failed_import() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()
