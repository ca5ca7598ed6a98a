"""The headless worker: takes tasks from its sources and lets executors, among them a model, do them.

Who writes an executor needs what stands here.
"""

from mycelium_worker.attempt import Attempt
from mycelium_worker.executor import Executor, NotHere, TaskFailed
from mycelium_worker.toolbox import Reply, Tool, Toolbox

__all__ = ["Attempt", "Executor", "NotHere", "Reply", "TaskFailed", "Tool", "Toolbox"]
