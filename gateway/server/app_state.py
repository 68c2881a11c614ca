"""Names of what is in the application's lifespan state for protocols and supervisors: mostly functions that they call.

Must not be here: the functions themselves (`app`).
"""

from __future__ import annotations

from typing import Final

CLOSE_SUBSCRIPTIONS: Final = "close_subscriptions"  # closes all subscriptions on shutdown
COLLECT_METRICS: Final = "collect_metrics"  # returns what a worker has counted; missing without metrics
PINGS: Final = "pings"  # the pings of all WebSockets; the first one puts it there
REFUSAL_HEADERS: Final = "refusal_headers"  # makes the headers of a refusal, and logs it
