"""How property tests run: as many examples as usual, but none is too slow, since other programs share the machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
