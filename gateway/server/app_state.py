"""Names of the functions in the application's lifespan state that protocols and supervisors call.

Must not be here: the functions themselves (`app`).
"""

from __future__ import annotations

from typing import Final

CLOSE_SUBSCRIPTIONS: Final = "close_subscriptions"  # closes all subscriptions on shutdown
COLLECT_METRICS: Final = "collect_metrics"  # returns what a worker has counted; missing without metrics
REFUSAL_HEADERS: Final = "refusal_headers"  # makes the headers of a refusal, and logs it
