"""Folders of temporary databases, beside those of other commands."""

from __future__ import annotations

import fcntl
import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from gateway.store.temporary import temporary_folder

if TYPE_CHECKING:
    from pathlib import Path

LONG_AGO = (1_700_000_000, 1_700_000_000)


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(there: Path, name: str) -> Path:
    """Leave a folder, as a command does that is killed."""
    folder = there / name
    folder.mkdir()
    (folder / "staging.db").write_bytes(b"rows")
    os.utime(folder, LONG_AGO)
    return folder


def test_a_folder_that_a_killed_command_has_left_is_removed(there: Path) -> None:
    left(there, "gateway-import-killed")

    with temporary_folder("import") as folder:
        assert list(there.iterdir()) == [folder]

    assert list(there.iterdir()) == []


def test_folders_in_use_and_of_others_stay(there: Path) -> None:
    in_use, other, young = (
        left(there, name) for name in ("gateway-import-used", "gateway-other", "gateway-import-new")
    )
    os.utime(young)
    link = there / "gateway-import-link"
    link.symlink_to(other)
    descriptor = os.open(in_use, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with temporary_folder("import"):
        pass
    os.close(descriptor)

    assert set(there.iterdir()) == {in_use, other, young, link}
    assert (other / "staging.db").exists()


def test_a_folder_is_locked_while_it_is_used(there: Path) -> None:
    with temporary_folder("import") as folder:
        os.utime(folder, LONG_AGO)
        with temporary_folder("import") as second:
            assert set(there.iterdir()) == {folder, second}
