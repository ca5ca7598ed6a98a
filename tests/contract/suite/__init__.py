"""The one contract that every backend keeps. Inherit `BackendContract` and say how to open the backend."""

from tests.contract.suite.agents import AgentContract
from tests.contract.suite.approving import ApprovingContract
from tests.contract.suite.batches import BatchContract
from tests.contract.suite.branching import BranchingContract
from tests.contract.suite.closing import ClosingContract, DurableContract
from tests.contract.suite.commits import CommitContract
from tests.contract.suite.dependencies import DependencyContract
from tests.contract.suite.events import EventContract
from tests.contract.suite.hand_driven import HandDrivenContract
from tests.contract.suite.health import HealthContract
from tests.contract.suite.holding import HoldingContract
from tests.contract.suite.house import HouseContract
from tests.contract.suite.kinds import KindsContract
from tests.contract.suite.leases import LeaseContract
from tests.contract.suite.listings import ListingContract
from tests.contract.suite.messages import MessageContract
from tests.contract.suite.monitoring import MonitoringContract
from tests.contract.suite.nesting import NestingContract
from tests.contract.suite.notifications import NotificationContract
from tests.contract.suite.pipelines import PipelineContract
from tests.contract.suite.races import RaceContract
from tests.contract.suite.refusals import RefusalContract
from tests.contract.suite.repeating import RepeatingContract
from tests.contract.suite.retries import RetryContract
from tests.contract.suite.schedules import ScheduleContract
from tests.contract.suite.tasks import TaskContract
from tests.contract.suite.texts import TextContract
from tests.contract.suite.transfer import TransferContract
from tests.contract.suite.triggers import TriggerContract
from tests.contract.suite.undoing import UndoingContract
from tests.contract.suite.waiting import WaitingContract
from tests.contract.suite.workflows import WorkflowContract


class BackendContract(
    TaskContract,
    MessageContract,
    LeaseContract,
    DependencyContract,
    RetryContract,
    AgentContract,
    EventContract,
    NotificationContract,
    WorkflowContract,
    ListingContract,
    RaceContract,
    RefusalContract,
    CommitContract,
    TransferContract,
    TextContract,
    ClosingContract,
    BatchContract,
    PipelineContract,
    MonitoringContract,
    KindsContract,
    BranchingContract,
    RepeatingContract,
    NestingContract,
    UndoingContract,
    HoldingContract,
    ApprovingContract,
    HealthContract,
    HandDrivenContract,
    TriggerContract,
    ScheduleContract,
    WaitingContract,
    HouseContract,
):
    """All of it."""


__all__ = ["BackendContract", "DurableContract"]
