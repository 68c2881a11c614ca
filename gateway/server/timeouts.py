"""Timeouts of connections, of HTTP and of WebSockets.

Must not be here: what happens when one expires.
"""

from __future__ import annotations

from typing import Final

WRITE_S: Final = 30.0  # time for a client to read some of what is buffered for it; a subscriber resumes by cursor
CLOSE_S: Final = 5.0  # the same during shutdown, and time for a client to close after the server did
LAST_REQUEST_S: Final = 0.5  # time during shutdown for a request that is under way to arrive
# Time for a read to finish when its client has disconnected: cancelling a statement costs its connection, and opening
# another one takes longer than most statements.
HUNG_UP_S: Final = 0.1

# Time for a head; for a body as much, and a second more for each so many bytes that arrive.
# Source: the defaults of Apache's mod_reqtimeout.
REQUEST_S: Final = 20.0
MIN_BYTES_PER_S: Final = 500
