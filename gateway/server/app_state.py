"""Names of what is in the application's lifespan state for protocols and supervisors: mostly functions that they call.

Must not be here: the functions themselves (`app`).
"""

from __future__ import annotations

from typing import Final

CANCEL_READ: Final = "cancel_read"  # ends what a request's task reads, if it only reads, when its client has hung up
CLOSE_SUBSCRIPTIONS: Final = "close_subscriptions"  # closes all subscriptions on shutdown
COLLECT_METRICS: Final = "collect_metrics"  # returns what a worker has counted; missing without metrics
PINGS: Final = "pings"  # the pings of all WebSockets; the first one puts it there
REFUSAL_HEADERS: Final = "refusal_headers"  # makes the headers of a refusal, and logs it
