"""The names of the public face, each from where it lies. `import tallystick` is how to get them."""

from __future__ import annotations

from harness.checkers.check import Clue, Found, check
from harness.errors import DamagedHistory, HarnessError, SetupError, UsageError
from harness.faults.clock_jump import ClockJump
from harness.faults.crash_in_recovery import CrashInRecovery
from harness.faults.fault import Effect, Fault, Target
from harness.faults.link_bandwidth import LinkBandwidth
from harness.faults.link_cut import LinkCut
from harness.faults.link_cut_one_way import LinkCutOneWay
from harness.faults.link_latency import LinkLatency
from harness.faults.link_limit_data import LinkLimitData
from harness.faults.link_pause import LinkPause
from harness.faults.link_reset import LinkReset
from harness.faults.link_slicer import LinkSlicer
from harness.faults.link_slow_close import LinkSlowClose
from harness.faults.mix import random_mix
from harness.faults.power_loss import PowerLoss
from harness.faults.process_kill import ProcessKill
from harness.faults.process_pause import ProcessPause
from harness.faults.process_terminate import ProcessTerminate
from harness.faults.registry import fault
from harness.faults.schedule import Planned, at, every
from harness.faults.store_full import StoreFull
from harness.faults.store_slow_sync import StoreSlowSync
from harness.faults.store_sync_error import StoreSyncError
from harness.faults.store_write_error import StoreWriteError
from harness.faults.targets import ProcessTarget, as_link, as_process
from harness.history import records
from harness.interface import load_result, run, run_async
from harness.links.link import Link
from harness.links.links import Links, LinkWanted
from harness.links.probe import ProbeWords
from harness.processes.process import Process
from harness.report.result import Result
from harness.scenario.parameters import Parameter, Parameters
from harness.scenario.phases import (
    AskPresence,
    CatchUp,
    Churn,
    Drain,
    Hands,
    Inspect,
    Kill,
    Load,
    Login,
    Logout,
    OwnPhase,
    Phase,
    Promote,
    Read,
    Restart,
    Send,
    Start,
    Storm,
    Stream,
)
from harness.scenario.scenario import PayloadSpec, Plan, Requires, Scenario
from harness.systems.broker.codec import pack
from harness.systems.broker.connector import BrokerConnector
from harness.systems.broker.deployment import BrokerDeployment, open_client_links
from harness.systems.broker.line import Dial, Ears, Memory, ReaderLine, SenderLine, Unavailable
from harness.systems.port import (
    Batch,
    Connector,
    Delivery,
    Deployment,
    NodeUsage,
    OutboxFull,
    Outcome,
    PresenceView,
    Receiver,
    Recutting,
    Resized,
    RunOfMessages,
    Sender,
    System,
)
from harness.systems.port import (
    Login as SessionLogin,
)
from harness.systems.promises import Ability, Promise
from harness.systems.takes import Takes
from harness.systems.topology import Topology, client_link, client_links

__all__ = [
    "Ability", "AskPresence", "Batch", "BrokerConnector", "BrokerDeployment", "CatchUp", "Churn",
    "ClockJump", "Clue", "Connector", "CrashInRecovery", "DamagedHistory", "Delivery", "Deployment",
    "Dial", "Drain", "Ears", "Effect", "Fault", "Found", "Hands", "HarnessError", "Inspect", "Kill",
    "Link", "LinkBandwidth", "LinkCut", "LinkCutOneWay", "LinkLatency", "LinkLimitData",
    "LinkPause", "LinkReset", "LinkSlicer", "LinkSlowClose", "LinkWanted", "Links", "Load", "Login",
    "Logout", "Memory", "NodeUsage", "OutboxFull", "Outcome", "OwnPhase", "Parameter", "Parameters",
    "PayloadSpec", "Phase", "Plan", "Planned", "PowerLoss", "PresenceView", "ProbeWords", "Process",
    "ProcessKill", "ProcessPause", "ProcessTarget", "ProcessTerminate", "Promise", "Promote",
    "Read", "ReaderLine", "Receiver", "Recutting", "Requires", "Resized", "Restart", "Result",
    "RunOfMessages", "Scenario", "Send", "Sender", "SenderLine", "SessionLogin", "SetupError",
    "Start", "StoreFull", "StoreSlowSync", "StoreSyncError", "StoreWriteError", "Storm", "Stream",
    "System", "Takes", "Target",
    "Topology", "Unavailable", "UsageError", "as_link", "as_process", "at", "check", "client_link",
    "client_links", "every", "fault", "load_result", "open_client_links", "pack", "random_mix",
    "records", "run", "run_async",
]  # fmt: skip
