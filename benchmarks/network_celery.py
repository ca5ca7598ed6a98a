"""The same job in Celery, with results in Redis. Run by itself, it adds as many jobs as it is told."""

import os
import sys
from typing import Any

import celery  # pyright: ignore[reportMissingImports]  it is in a virtual environment of its own

app: Any = celery.Celery("jobs", broker=os.environ["BROKER_URL"], backend=os.environ["RESULTS_URL"])  # pyright: ignore
app.conf.update(
    task_acks_late=True,
    task_default_queue_type=os.environ["QUEUE_TYPE"],
    worker_prefetch_multiplier=int(os.environ["PREFETCH"]),
    result_expires=3600,
)


@app.task
def noop(number: int) -> None:
    """Do nothing."""


if __name__ == "__main__":
    for each in range(int(sys.argv[1])):
        noop.delay(each)
