"""The same job in Celery, with results in Redis. Run by itself, it adds as many jobs as it is told."""

import os
import sys
from importlib import import_module
from typing import Any

celery: Any = import_module("celery")  # so: it is in an environment of its own, where types are not checked
app: Any = celery.Celery("jobs", broker=os.environ["BROKER_URL"], backend=os.environ["RESULTS_URL"])
app.conf.update(
    task_acks_late=True,
    task_default_queue_type=os.environ["QUEUE_TYPE"],
    worker_prefetch_multiplier=int(os.environ["PREFETCH"]),
    result_expires=3600,
)


def do_nothing(number: int) -> None:
    """The job."""


noop: Any = app.task(do_nothing, name="noop")

if __name__ == "__main__":
    for each in range(int(sys.argv[1])):
        noop.delay(each)
