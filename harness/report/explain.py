"""What `tallystick explain` says: anomalies, verdicts, limits and exit codes, as data.

The anomalies are those of `docs/invariants.md`. Where a row is known from the public literature
(Jepsen's Kafka workload, Elle, Porcupine), the words here are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.nearest import nearest
from harness.reach.catalogue import BY_NAME, LEFT_OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing explained.

    Attributes:
        id: What is asked for ("A1", "exit-codes").
        name: The name in reports.
        meaning: What it is, in a sentence or a few.
        judged: How it is found, and when it counts.
        next_step: What a reader does about it.
    """

    id: str
    name: str
    meaning: str
    judged: str = ""
    next_step: str = ""


_ALWAYS = "Counts for every system."


def _anomaly(
    anomaly_id: str, name: str, meaning: str, judged: str, applies: str = _ALWAYS, step: str = ""
) -> Entry:
    return Entry(
        id=anomaly_id, name=name, meaning=meaning, judged=f"{judged} {applies}", next_step=step
    )


_REPLAY = "The witness in result.json names the history segment and chunk with the records."

_ANOMALIES = (
    _anomaly(
        "A1", "LOST", "A message was acknowledged and never came, though its inbox was read to a "
        "confirmed end that was asked for after all senders had ended.",
        "The holes left per sender at the drain, looked up again by a second read. Reported as "
        "prefix, middle or suffix of the sender's sequence.",
        step=_REPLAY + " A lost suffix points to acknowledging before the data is durable, a lost "
        "middle to a dropped batch at a reconnect.",
    ),
    _anomaly(
        "A2", "MISSING-MIDDLE", "A later message of the same sender was delivered and an earlier "
        "acknowledged one was passed over.",
        "Online, without waiting for the drain: the order of the two sends forces their positions.",
    ),
    _anomaly(
        "A3", "PHANTOM", "A message was delivered that nobody sent.",
        "Its id has no invocation before the delivery.",
    ),
    _anomaly(
        "A4", "ABORTED", "A message was delivered although its send had definitely failed.",
        "Failed ids are kept; a delivery of one is an error. A time-out is never a failure here: "
        "it is `info`, unknown.",
    ),
    _anomaly(
        "A5", "CORRUPT", "A message was delivered with another content than was sent.",
        "The content follows from (seed, producer, inbox, n) and is compared for every message.",
    ),
    _anomaly(
        "A6", "DIVERGENT", "Two different messages were seen at one position of one inbox.",
        "Over all readers, re-reads, acknowledgements and inspections of the store.",
    ),
    _anomaly(
        "A7", "DUP-LOG", "One message lies at two positions: it is in the log twice.",
        "An id that was already seen comes at a new position.",
        "Counts if the system promises exactly-once or idempotent sends.",
        step="A resend was not recognised: look for the reconnect between the two positions.",
    ),
    _anomaly(
        "A8", "DUP-SESSION", "One session was given the same position twice, unmarked.",
        "The last position of each session.",
    ),
    _anomaly(
        "A9", "REDELIVER-AFTER-ACK", "A position came again in a session opened after its "
        "acknowledgement had been confirmed.",
        "The highest confirmed cursor per reader. Void if that acknowledgement ended unknown.",
    ),
    _anomaly(
        "A10", "NONMONOTONIC", "Within one session positions did not rise.",
        "The last position of each session; marked redeliveries are exempt.",
    ),
    _anomaly(
        "A11", "SKIP-INTERNAL", "Within one session a position that holds a message was jumped.",
        "Gaps per session, closed only when the log shows that nothing lay there.",
    ),
    _anomaly(
        "A12", "SKIP-RESUME", "A new session began behind a message that its reader never had.",
        "The first position of a session against the position it resumed from.",
    ),
    _anomaly(
        "A13", "ACK-REGRESS", "After a crash a session resumed before a confirmed cursor, or "
        "its reader was told a cursor that lies before it.",
        "The highest confirmed cursor per reader against the place of resumption, and against the "
        "cursor that the answer to a login named.",
        "Counts if cursors are promised to be durable.",
    ),
    _anomaly(
        "A14", "LATE-ACK", "A cursor of a superseded session was confirmed: who had been replaced "
        "still moved the mark, and could hide messages from the reader that replaced it.",
        "An acknowledgement asked for after a later session of the inbox was open, and confirmed.",
        "Counts if fencing of old sessions is promised.",
    ),
    _anomaly(
        "A15", "SESSION-REUSED", "A login was given a session number that was given out before, or "
        "a lower one. An old session may then pass for a new one.", "The numbers of all logins to "
        "an inbox, by time.", "Counts if fencing is promised.",
    ),
    _anomaly(
        "A16", "WRONG-MARK", "A redelivery came without its mark, or a message was marked that "
        "cannot have been sent before. Consumers that look at the mark handle it twice, or never.",
        "Each session's positions against those of the sessions before it.",
        "Counts if redelivery marks are promised.",
    ),
    _anomaly(
        "A17", "ENDED-UNEXPLAINED", "A client had to end its session, or a sender its connection, "
        "since what came was not what the system had said; or another session took its place and "
        "it was never told.",
        "How each session ended; how long it stayed open behind a later login.",
        "Counts if fencing is promised.",
    ),
    _anomaly(
        "B1", "FIFO-SYNC", "A sender waited for its acknowledgement, sent on, and the later "
        "message took the earlier position.", "Follows from B4.",
    ),
    _anomaly(
        "B2", "FIFO-PIPE", "Two messages of one sender to one inbox stand in the wrong order.",
        "In position order each sender's n must rise.",
        "Counts if order of pipelined sends is promised.",
    ),
    _anomaly(
        "B3", "FIFO-HOLE", "A message came and an earlier one of the same sender never did.",
        "Holes below the last delivered n at the drain; unknown ones are reported apart.",
        "Counts if a prefix is promised.",
    ),
    _anomaly(
        "B4", "REALTIME", "A message took a position before one whose send had completed before "
        "the first had even begun.",
        "One scan in position order, exact: an order exists that respects real time if and only "
        "if no such pair exists.",
        "Counts if appends are promised to be linearizable.",
    ),
    _anomaly(
        "B5", "STALE-END", "The system said that nothing lay beyond a position, although a message "
        "beyond it had been acknowledged or delivered before the question.",
        "The same scan, with each answer as a read.",
        "Counts if the end is promised to be linearizable.",
    ),
    _anomaly(
        "B6", "ORDER-DISAGREE", "Two readers had the same two messages in opposite order.",
        "Against the order of the canonical reader.", "Counts if a total order is promised.",
    ),
    _anomaly(
        "B7", "LATE", "A message came for the first time behind one of a higher position.",
        "The highest first-delivered position per reader.",
        "Counts if a merge watermark is promised.",
    ),
    _anomaly(
        "C1", "MISROUTED", "A stored message lies in another bucket than the published hash says.",
        "Judged from what is stored, never from the live path.",
        "Counts if buckets and their route are promised.",
    ),
    _anomaly(
        "C2", "DOUBLE-BUCKET", "A message is stored in two buckets.",
        "Over all stored rows.", "Counts if buckets are promised.",
    ),
    _anomaly(
        "C3", "BUCKET-ORDER", "Within one bucket the order of storing and the order of positions "
        "disagree.", "Over all stored rows.", "Counts if buckets are promised.",
    ),
    _anomaly(
        "C4", "EPOCH-OVERLAP", "A message of an older bucket count lies behind one of a newer.",
        "The lowest position per epoch.", "Counts if a clean cut between epochs is promised.",
    ),
    _anomaly(
        "C5", "STALE-EPOCH", "A message was stored under a bucket count that was proven to be "
        "replaced before its send began.", "The first proof of each epoch.",
        "Counts if a clean cut between epochs is promised.",
    ),
    _anomaly(
        "C6", "RESIZE-LOSS", "A loss, duplicate or wrong order whose witness lies in the window of "
        "a promotion or demotion.", "The events of A1, A7 and B2, labelled with the window.",
        "Counts if buckets are promised.",
    ),
    _anomaly(
        "C7", "STALE-RESIZE", "A promotion or demotion was confirmed although the epoch that it "
        "expected was not in force: a repeated request undid a later one.",
        "Each confirmed resize begins the epoch right behind the expected one, and no two the "
        "same.", "Counts if fencing of old requests is promised.",
    ),
    _anomaly(
        "C8", "UNSTORED", "A message was acknowledged or delivered, and an inspection of the store "
        "that began later did not find it.", "The log minus what each inspection found; what an "
        "acknowledgement may have dropped is left out.", "Counts if buckets are promised.",
    ),
    _anomaly(
        "C9", "TOLD-OTHERWISE", "An acknowledgement, a delivery or the answer to a promotion named "
        "another epoch, bucket count or position than the store has.", "What was said of each "
        "position against what an inspection found there.", "Counts if buckets are promised.",
    ),
    _anomaly(
        "D1", "UNRESOLVED", "A send ended unknown and its message never came. That is legal: "
        "unknown may mean never. It is counted.", "Holes at the drain.", "Never an error.",
    ),
    _anomaly(
        "D2", "UNSEEN", "Acknowledged and not yet delivered, and since when.",
        "The head of the open window.", "Counts as a limit on liveness after healing.",
    ),
    _anomaly(
        "D3", "STUCK", "After all faults were healed, a send or a login got no outcome in its "
        "time, or nothing moved at all during the drain.",
        "Timers. Safety then stays UNKNOWN: `stuck`, or `drain_slow` if it moved but too slowly; "
        "`system_died`, `system_unreachable` or `system_refuses` if nobody got anything but errors "
        "for 15 s, with no fault under way: then the run is ended at once.",
        step="Look into logs/ for the node that stopped answering.",
    ),
    _anomaly(
        "D4", "ACCOUNT", "Tallystick's own books do not balance: sends, outcomes, deliveries and "
        "the sum over their hashes.", "Counters kept apart from all other checks.",
        "Checks the harness itself.",
        step="Do not believe the other rows of this run; please report it with the run folder.",
    ),
    _anomaly(
        "D5", "VACUOUS", "The run tested less than it was meant to: an operation never succeeded, "
        "a fault had no effect, no reconnect or promotion took place.",
        "Counters against what the scenario requires. Makes the run UNKNOWN, never a pass.",
        step="Read the reason: it names what did not happen. Let the plan make it happen (a longer "
        "load, a fault where the messages are), or let Requires ask for less where the system "
        "rightly does without.",
    ),
    _anomaly(
        "D6", "PRESENCE", "After the promised time the system still said online of a user who was "
        "gone, offline of one who was there, or named the wrong edge or one that cannot be heard.",
        "The last session event per user against what was answered; in the middle of a long cut, "
        "who is shown behind it.",
        "Counts if presence is promised.",
    ),
    _anomaly(
        "D7", "LIMIT-EXCEEDED", "A node passed a limit that it publishes: a buffer, a window, its "
        "memory; or a receiver was sent more than the promised window before it acknowledged.",
        "Samples of the nodes' own gauges and of their memory, and what receivers counted.",
        "Counts if limits are promised.",
    ),
    _anomaly(
        "D8", "WITHHELD", "A message was acknowledged and waited, although its reader had nothing "
        "else to do: the system held back what it could have delivered.",
        "Silences of sessions that had acknowledged all they had, with no fault near, longer than "
        "the promised bound and twice the worst lateness of nodes and load processes.",
        "Counts if a bound on delivery is promised.",
    ),
    _anomaly(
        "D9", "NOT-GIVEN-UP", "A link swallowed everything, or a node stood still, and a session "
        "over it stayed open as if nothing were: its client waits for messages that cannot come.",
        "The end of each session against the silences that faults made, from the promised bound "
        "of presence on.", "Counts if presence is promised.",
    ),
    _anomaly(
        "E1", "IMBALANCE", "The loads of an inbox's buckets cannot be explained by the hash.",
        "Chi-square over the bucket loads, an error only below p = 1e-9.",
        "Counts if buckets are promised.",
    ),
    _anomaly(
        "E2", "NOISY-NEIGHBOUR", "Quiet inboxes became slow while another was hot.",
        "Their p99 in loads with a label against the same inboxes in interleaved baseline loads of "
        "the same run: `load_latency_ms`.",
        "Never a failure; a scenario bounds it by a limit on `noisy_neighbour_ratio`.",
    ),
)  # fmt: skip

_OTHERS = (
    Entry(
        id="exit-codes", name="exit codes",
        meaning="0 PASS. 1 FAIL, and only FAIL: a result file says which anomaly. 2 wrong usage. "
        "3 UNKNOWN: something promised was not proven. 4 PASS with limits MISSED. 70 ERROR: the "
        "harness or the set-up broke. 130 and 143: interrupted by SIGINT or SIGTERM; the result "
        "says `complete: false`.",
        next_step="In CI: let 1 block a change, repeat on 3 and 70, and look at trends on 4.",
    ),
    Entry(
        id="PASS", name="verdict",
        meaning="Every check that applies was made and found nothing, under this workload and "
        "these faults. It bounds a loss rate; it proves no absence (`tallystick explain bound`).",
    ),
    Entry(
        id="FAIL", name="verdict",
        meaning="At least one safety anomaly, with its witnesses. Safety is never retried and has "
        "no tolerance: one lost message of a million is a FAIL.",
    ),
    Entry(
        id="UNKNOWN", name="verdict",
        meaning="Nothing wrong was found, but something promised was not proven: a fault without "
        "effect, a drain that was stuck or too slow, a client that went around its proxy, no "
        "check that applies, one of the claim that had nothing to judge. Never counted as a pass.",
    ),
    Entry(
        id="ERROR", name="verdict",
        meaning="Tallystick itself broke, a crashed checker included. Says nothing about the "
        "system. FAIL outranks it: what was proven before stays proven.",
    ),
    Entry(
        id="NOT_APPLICABLE", name="check status",
        meaning="The system does not promise this, so it is listed and does not count.",
    ),
    Entry(
        id="limits", name="MET, MISSED or NONE",
        meaning="Thresholds on speed and liveness, such as `ack_p99_ms <= 500`. They stand beside "
        "the verdict and never change it: a slow machine is MISSED (exit code 4), not a loss. "
        "Latencies count what still waits at the end, with its age; over nothing that was measured "
        "a limit is MISSED.",
    ),
    Entry(
        id="bound", name="zero of n",
        meaning="No loss in n independent trials excludes, at 95 %, loss rates above "
        "1 - 0.05^(1/n), about 3/n. Losses come by batch and by crash, so the bound is given per "
        "message, per commit and per kill. It holds under this workload and these faults, and is "
        "given of a PASS alone, where nothing is lost, gone from the log or passed by.",
    ),
    Entry(
        id="not-tried", name="beside a verdict",
        meaning="Something that the scenario plans, and marks as optional since its claim can do "
        "without, and that this system could not have: a fault, a phase, a limit, a check. The "
        "verdict says nothing about it. What is planned and not optional is refused instead.",
    ),
    Entry(
        id="reach", name="never reached in this suite",
        meaning="Rare states of nodes, store, clients and workload have names and are counted. "
        "What no run of a suite came to was not tried by it, whatever its verdict.",
        judged="A count is a lower bound: it is asked for once a second and at the end, so a "
        "process that is killed takes along what it had not told yet.",
        next_step="`tallystick reach RESULT` has all counts, `tallystick explain STATE` says what "
        "one is. Another seed may come to it, or the profile standard.",
    ),
    Entry(
        id="compare", name="better, worse, too few repeats",
        meaning="A figure is called better or worse only where a permutation test of the largest "
        "difference rules out chance: of comparisons of equal sides at most 5 % call any figure "
        "of any scenario changed. The level is shared out evenly to the scenarios of one call; "
        "how many figures there are costs no repeats. 4 runs per side can show a large change of "
        "one scenario; 10 or more are better. It assumes that nothing but chance and what is "
        "compared told the runs apart: run A and B in turn (`run --system a,b --repeat 10`), or "
        "a machine that changed in between looks like a slower system.",
        judged="Exit code 4 takes a worse figure beyond --worse-by, or a fact: a worse verdict, a "
        "figure or scenario that is missing. Facts are no statistics, and one run is enough.",
    ),
    Entry(
        id="outcomes", name="ok, fail, info",
        meaning="ok: it took effect between invocation and reply. fail: it never did and never "
        "will. info: unknown; it may take effect at any time or never. A cut connection or a "
        "time-out is always info.",
    ),
)  # fmt: skip

ENTRIES: dict[str, Entry] = {entry.id: entry for entry in (*_ANOMALIES, *_OTHERS)}
"""Everything that can be explained, by id."""

ANOMALY_IDS = tuple(entry.id for entry in _ANOMALIES)


LIKENESS_MIN = 0.7
"""Words are short and many here, and some have half of their letters in common with anything."""


def find(word: str) -> Entry:
    """Return the entry called `word`, by id or name, in any case and with - or _.

    Raises:
        UsageError: There is none; says which are near, if any are.
    """
    wanted = _normal(word)
    by_word = {_normal(entry.name): entry for entry in reversed(_ANOMALIES)}
    by_word |= {_normal(entry.id): entry for entry in ENTRIES.values()}
    aliases = {"exit": "exit-codes", "exit-code": "exit-codes", "met": "limits", "missed": "limits"}
    wanted = aliases.get(wanted, wanted)
    if wanted in by_word:
        return by_word[wanted]
    states = {_normal(name): name for name in (*BY_NAME, *LEFT_OUT)}
    if wanted in states:
        return _rare(states[wanted])
    near = {nearest(wanted, by_word, LIKENESS_MIN)} - {""}
    near = near or {known for known in by_word if wanted and known.startswith(f"{wanted}-")}
    # As in 'B1' (FIFO-SYNC): who does not know the ids knows it by its name.
    meant = " or ".join(sorted({_shown(by_word[known]) for known in near}))
    hint = f"; did you mean {meant}?" if meant else ""
    raise UsageError(
        f"nothing called {word!r} to explain{hint} "
        "(A1 to E2, exit-codes, a verdict, limits, bound, compare, not-tried, outcomes, reach, a "
        "rare state)"
    )


def _rare(name: str) -> Entry:
    """Return the entry of a rare state."""
    if name in LEFT_OUT:
        return Entry(
            id=name,
            name="a rare state that no suite has to reach",
            meaning=LEFT_OUT[name],
        )
    state = BY_NAME[name]
    who = ", ".join(state.systems) or "every system"
    return Entry(
        id=name, name="a rare state", meaning=state.meaning, judged=f"It can be reached on: {who}."
    )


def _shown(entry: Entry) -> str:
    return repr(entry.id) + (f" ({entry.name})" if entry.id in ANOMALY_IDS else "")


def _normal(word: str) -> str:
    return word.strip().lower().replace("_", "-")
