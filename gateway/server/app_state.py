"""Keys of the application's lifespan state: mostly functions that protocols and supervisors call.

Must not be here: the functions themselves (`app`).
"""

from __future__ import annotations

from typing import Final

CANCEL_READ: Final = "cancel_read"  # cancels a request's task that only reads, when its client has disconnected
CLOSE_SUBSCRIPTIONS: Final = "close_subscriptions"  # closes all subscriptions on shutdown
COLLECT_METRICS: Final = "collect_metrics"  # returns what a worker has counted; missing without metrics
PINGS: Final = "pings"  # the pings of all WebSockets; the first one puts it there
REFUSAL_HEADERS: Final = "refusal_headers"  # makes the headers of a refusal, and logs it
