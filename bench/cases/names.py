"""Names of the cases that several systems have, or that a target or figure names.

Must not be here: requests.
"""

from __future__ import annotations

from typing import Final

MIX: Final = "mix"
LIST: Final = "list"
INBOX: Final = "inbox-list"
PAGE_20: Final = "page-20"
PAGE_100: Final = "page-100"
PAGE_MIDDLE: Final = "page-middle"
NODE: Final = "node"
CREATE: Final = "create"
CREATE_KEYED: Final = "create-keyed"
REST_20: Final = "rest-page-20"
REST_100: Final = "rest-page-100"
REST_CREATE: Final = "rest-create"
REST_CREATE_KEYED: Final = "rest-create-keyed"
HEALTH: Final = "healthz"
# The like case of the bare app, and of the one that says hello.
LIKE: Final = {PAGE_20: REST_20, PAGE_100: REST_100, PAGE_MIDDLE: REST_20, CREATE: REST_CREATE}
