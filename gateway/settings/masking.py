"""Masking: values of settings as they may be printed, with no secret in them.

Must not be here: the values themselves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.settings.table import Setting

MASK: Final = "********"
# Up to the last @: a password may contain any character, and masking too much does no harm.
_USER_INFO: Final = re.compile(r"://(?P<user>[^:@/]*)(?P<rest>.*)@", re.DOTALL)
_PARAMETER: Final = re.compile(r"(?P<name>[^?&=]*)=(?P<value>[^&]*)")
# Parameters of drivers may hold passwords under any name; these hold none.
_HARMLESS: Final = {
    "host",
    "port",
    "pgbouncer",
    "ssl",
    "sslmode",
    "command_timeout",
    "connect_timeout",
    "target_session_attrs",
}


def mask(setting: Setting, value: object) -> str:
    """Write a value: a secret is masked completely, of a URL the user, password and parameters."""
    text = setting.text(value)
    if not setting.secret or not text:
        return text
    return mask_url(text) if setting.has_flag else MASK


def mask_url(url: str) -> str:
    """Mask what may be secret in a URL: password and parameters; also the user name, except that of a database."""
    scheme, _, rest = url.partition("://")
    if "?" in rest.rpartition("@")[0]:  # the @ may be in a parameter, followed by a part of its secret
        return f"{scheme}://{MASK}"
    is_database = url.startswith("postgres")

    def user_info(found: re.Match[str]) -> str:
        if is_database:
            return f"://{found['user']}{f':{MASK}' if found['rest'] else ''}@"
        return f"://{MASK}@"

    def parameter(found: re.Match[str]) -> str:
        return found[0] if found["name"] in _HARMLESS else f"{found['name']}={MASK}"

    address, mark, query = _USER_INFO.sub(user_info, url).partition("?")
    return f"{address}{mark}{_PARAMETER.sub(parameter, query)}"
