"""What a failed check means and what a fault does, in words for a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping

WHAT_HAPPENED: Mapping[str, tuple[str, str]] = {
    "A1": (
        "{n} acknowledged message was lost",
        "{n} acknowledged messages were lost",
    ),
    "A2": (
        "{n} acknowledged message was passed by, though its reader got later ones of its sender",
        "{n} acknowledged messages were passed by, though their readers got later ones",
    ),
    "A3": (
        "{n} message was delivered that nobody had sent",
        "{n} messages were delivered that nobody had sent",
    ),
    "A4": (
        "{n} message was refused and delivered all the same",
        "{n} messages were refused and delivered all the same",
    ),
    "A5": (
        "{n} message was delivered with another content than was sent",
        "{n} messages were delivered with another content than was sent",
    ),
    "A6": (
        "{n} position holds two different messages, so readers do not see one log",
        "{n} positions hold two different messages each, so readers do not see one log",
    ),
    "A7": (
        "{n} message is in the log twice",
        "{n} messages are in the log twice or more often",
    ),
    "A8": (
        "{n} message was delivered twice in one session, without a mark",
        "{n} messages were delivered twice in one session, without a mark",
    ),
    "A9": (
        "{n} message was delivered again after its acknowledgement had been confirmed",
        "{n} messages were delivered again after their acknowledgements had been confirmed",
    ),
    "A10": (
        "{n} message was delivered out of order, as a session went back",
        "{n} messages were delivered out of order, as sessions went back",
    ),
    "A11": (
        "{n} message was jumped over within a session",
        "{n} messages were jumped over within sessions",
    ),
    "A12": (
        "{n} message was skipped at a login, as the session began behind it",
        "{n} messages were skipped at logins, as the sessions began behind them",
    ),
    "A13": (
        "{n} login was sent back behind what it had confirmed",
        "{n} logins were sent back behind what they had confirmed",
    ),
    "A14": (
        "{n} late acknowledgement of an old session was accepted",
        "{n} late acknowledgements of old sessions were accepted",
    ),
    "A15": (
        "{n} login was given a session number that an earlier one had, or a lower one",
        "{n} logins were given session numbers that earlier ones had, or lower ones",
    ),
    "A16": (
        "{n} message came with a wrong redelivery mark",
        "{n} messages came with wrong redelivery marks",
    ),
    "A17": (
        "{n} session ended against what the system had said, or without its client being told",
        "{n} sessions ended against what the system had said, or without their clients being told",
    ),
    "B1": (
        "{n} message stands before one that was acknowledged before it was sent",
        "{n} messages stand before ones that were acknowledged before they were sent",
    ),
    "B2": (
        "{n} message stands behind a later one of its sender",
        "{n} messages stand behind later ones of their senders",
    ),
    "B3": (
        "{n} message is missing though a later one of its sender is there",
        "{n} messages are missing though later ones of their senders are there",
    ),
    "B4": (
        "{n} message stands before one that was complete when it was sent",
        "{n} messages stand before ones that were complete when they were sent",
    ),
    "B5": (
        "{n} time an end was read that was out of date or too far",
        "{n} times an end was read that was out of date or too far",
    ),
    "B6": (
        "{n} message came to two readers in opposite orders",
        "{n} messages came to two readers in opposite orders",
    ),
    "B7": (
        "{n} message was delivered behind a later one, for the first time",
        "{n} messages were delivered behind later ones, for the first time",
    ),
    "C1": (
        "{n} message lies in another bucket than the route says",
        "{n} messages lie in other buckets than the route says",
    ),
    "C2": (
        "{n} message is stored in two places",
        "{n} messages are stored in two places",
    ),
    "C3": (
        "{n} message stands out of order in its bucket",
        "{n} messages stand out of order in their buckets",
    ),
    "C9": (
        "{n} message is stored in another epoch, bucket count or place than was told",
        "{n} messages are stored in other epochs, bucket counts or places than was told",
    ),
    "C8": (
        "{n} message was in the log and is not in the store",
        "{n} messages were in the log and are not in the store",
    ),
}
"""By check, of one and of several; what is not here is told by the check's own reason."""

BLOWS: Mapping[str, str] = {
    "process_kill": "{target} {was} killed",
    "process_terminate": "{target} {was} terminated",
    "process_pause": "{target} {was} paused",
    "power_loss": "{target} lost power",
    "crash_in_recovery": "{target} {was} killed during its recovery",
    "clock_jump": "the clock of {target} jumped",
    "store_full": "the disk of {target} was full",
    "store_slow_sync": "the disk of {target} was slow",
    "store_sync_error": "syncs of {target} failed",
    "store_write_error": "writes of {target} failed",
    "link_cut": "{target} {was} cut",
    "link_cut_one_way": "{target} {was} cut in one direction",
    "link_reset": "{target} {was} reset",
    "link_latency": "{target} {was} delayed",
    "link_pause": "{target} {was} paused",
    "link_bandwidth": "the bandwidth of {target} was limited",
    "link_limit_data": "{target} {was} cut after some bytes",
    "link_slicer": "writes through {target} were sliced",
    "link_slow_close": "{target} {was} slow to close",
    "storm": "all clients were cut",
}
"""What each kind of fault did to its target, for the words behind "when"; `was` agrees with it."""
