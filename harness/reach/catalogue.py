"""The rare states that runs should reach, by name: what each is, and which systems can reach it.

A fault in a path that no run takes is found by nobody, whatever is checked. So the paths have
names, are counted, and what a suite never reached is told. The idea is that of Antithesis'
"sometimes" assertions and FoundationDB's code probes.

Names begin with who counts: a node of the reference ("core", "edge", "node", "store"), its clients
("client"), the adapters ("broker", "nats", "valkey", "kafka"), the load processes ("load"), or the
fold of the history ("run", `harness.checkers.rare`).
"""

from __future__ import annotations

from dataclasses import dataclass

REFERENCE = ("reference",)
BROKERS = ("nats", "valkey", "kafka")
EVERY = ()
"""Every system, those of one's own too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RareState:
    """A state that some run should reach.

    Attributes:
        name: Who counts it, a dot, what it is.
        meaning: What happened, in one sentence.
        systems: The names of the systems that can reach it; empty: every one.
    """

    name: str
    meaning: str
    systems: tuple[str, ...] = EVERY

    def is_of(self, system: str) -> bool:
        """Tell whether a system can reach it."""
        return not self.systems or system in self.systems


def _states(prefix: str, systems: tuple[str, ...], **meanings: str) -> tuple[RareState, ...]:
    return tuple(
        RareState(name=f"{prefix}.{name}", meaning=meaning, systems=systems)
        for name, meaning in meanings.items()
    )


_LOAD = _states(
    "load", EVERY,
    empty_message="A message of 0 bytes was sent.",
    message_over_32_kib="A message of more than 32 KiB was sent.",
    message_of_256_kib="A message of 256 KiB or more was sent: the reference takes no more.",
    batch_over_256_kib="A batch of more than 256 KiB was sent.",
)  # fmt: skip

_RUN = _states(
    "run", EVERY,
    inbox_in_upper_case="The name of an inbox has a capital letter.",
    inbox_beyond_ascii="The name of an inbox has a letter beyond ASCII.",
    inbox_is_prefix_of_another="The name of an inbox begins that of another one.",
    inbox_of_many_producers="At least 100 producers wrote to one inbox.",
    inbox_of_several_devices="Two devices of one user read its inbox.",
    producer_of_several_inboxes="One producer wrote to several inboxes.",
    producer_of_many_messages="One producer sent more than 65,536 messages to one inbox.",
    producer_near_a_power_of_two="The number of a producer lies at most 16 beside a power of two, "
    "from the 31st on.",
    stored_after_a_resend="Messages were acknowledged after they had been sent more than once.",
    session_lost="A session ended without anybody's doing.",
    empty_inbox_read="The end of an empty inbox was asked for.",
    sender_moved_to_another_edge="A sender came back through another edge.",
    receiver_moved_to_another_edge="A receiver came back through another edge.",
    login_at_the_cursor="A login left its place to the durable cursor, which was beyond the start.",
    login_behind_trimming="A login named a place that had been trimmed, and was told a later one.",
)  # fmt: skip

_RUN_OF_BUCKETS = _states(
    "run", REFERENCE,
    redelivered="A delivery was marked as coming again.",
    session_taken_over="A login on another device took the place of an open session.",
    demoted="An inbox got fewer buckets than it had.",
    more_than_256_buckets="An inbox got more than 256 buckets.",
    promotion_unknown="A promotion had no answer.",
    promotion_undone="A promotion without an answer had not happened, or a crash undid it.",
    presence_unanswered="A question for presence had no answer.",
)  # fmt: skip

_CORE = _states(
    "core", REFERENCE,
    began_empty="A core began on a store without any inbox.",
    recovered="A core began on a store that another core had left.",
    batch_known="A batch came again that was durable already, and was answered at once.",
    batch_partly_known="A batch came again cut differently, and only its front was known.",
    batch_being_committed="A batch came again while it was being committed, and waited for that.",
    gap="A batch came before the one that it follows, and was refused as a gap.",
    refused_storage_full="A batch was refused at once, since the store was full.",
    commit_refused="The store was full: a whole commit was taken back, and everybody told.",
    store_took_again="A full store took a commit again.",
    store_full_again="A store that had taken commits again was full once more.",
    promotion_amid_messages="A bucket count came into force behind messages not yet durable.",
    taken_over="A login over another link ended an open session.",
    superseded_on_its_link="A login over the same link ended an open session.",
    login_behind_trimming="A login named a place that had been trimmed.",
    login_of_a_lost_link="A login became durable when the link that had asked was gone.",
    cursor_amid_a_login="A cursor was acknowledged while the next login was being committed.",
    cursor_known="A cursor was acknowledged that was durable already.",
    cursor_of_an_ended_session="A cursor was acknowledged for a session that had ended.",
    session_resumed="A session went on over a new link between edge and core.",
    session_resumed_unacknowledged="A session went on with messages that were not acknowledged.",
    resume_refused_superseded="An edge wanted to go on with a session that had been superseded.",
    redelivered="Messages were sent that an earlier session may have had.",
    read_from_store="A session that lagged was served from the store, not from memory.",
    cache_evicted="The oldest messages had to leave the cache for newer ones.",
    window_full="A session waited, since its window was full.",
    window_open_again="A session went on after its window had been full.",
    link_full="A session waited, since enough was on its way over its link.",
    link_silent="A link was given up, since nothing was heard for too long.",
    trimmed_amid_a_read="Messages were trimmed while the session read on from the store.",
)  # fmt: skip

_EDGE = _states(
    "edge", REFERENCE,
    batch_here_already="A batch came again while the edge still had it.",
    client_silent="A client was given up, since nothing was heard for too long.",
    core_away_for_long="A batch was refused, since the core had been away for long.",
    core_credit_used_up="Batches waited, since all of the core's credit was used.",
    dropped_behind_a_gap="Batches that waited behind a gap were dropped.",
    link_lost_amid_batches="A link to the core was lost with unanswered batches on it.",
    silent_core_left="A link to the core was given up, since nothing was heard for too long.",
    sessions_registered_again="Sessions were registered on a new link to the core.",
    cursor_told_again="An unconfirmed cursor was told again on a new link.",
    delivery_of_an_ended_session="A delivery came for a session that had ended.",
    login_of_a_client_gone="A login was answered when its client had gone.",
    question_lost="A link to the core was lost with unanswered questions on it.",
    question_without_core="A client asked when there was no link to the core.",
)  # fmt: skip

_CLIENT = _states(
    "client", REFERENCE,
    outbox_full="An outbox had no room, and the application had to wait.",
    credit_used_up="A sender waited, since all of its credit was used.",
    connection_lost_amid_batches="A sender lost its connection with unanswered batches on it.",
    resent_after_timeout="A sender sent again on the same connection, since no answer came.",
    outcome_learnt_at_login="A sender learnt at its login that messages had been stored.",
    earlier_answer_lost="An acknowledgement told of earlier messages too, whose own was lost.",
    answered_twice="A batch that had been sent again was answered twice.",
    told_not_ready="A sender was told to wait, since the core was away.",
    told_storage_full="A sender was told to wait, since the store was full.",
    sender_login_asked_again="A sender's login was answered with an error, and asked again.",
    reader_login_asked_again="A reader's login was answered with an error, and asked again.",
    superseded="A reader was told that another login had taken its place.",
    silent_edge_left="A client left an edge, since nothing was heard for too long.",
)  # fmt: skip

_STORE = _states(
    "store", REFERENCE,
    log_left_behind="A store was opened that a core had not closed, its log still beside it.",
    checkpoint="The log was moved into the file.",
    checkpoint_beside_a_reader="The log could not be moved as a whole, since a read was under way.",
    trimmed="Acknowledged messages were removed.",
    reserve_used="A full store gave up its reserve for a commit.",
    read_over_buckets="A read merged several buckets.",
    read_over_epochs="A read merged buckets of several epochs.",
)  # fmt: skip

_NODE = _states(
    "node", REFERENCE,
    clock_stepped_on="A node's wall clock was stepped forward.",
    clock_stepped_back="A node's wall clock was stepped back.",
)  # fmt: skip

_BROKER = _states(
    "broker", BROKERS,
    outbox_full="An outbox had no room, and the application had to wait.",
    reconnected_amid_batches="A sender came back with unanswered messages.",
    resent="A batch was published again.",
    resent_in_part="A batch was published again without its front part, which was answered.",
    window_full="A reader fetched nothing, since its window was full.",
)  # fmt: skip

_EACH_BROKER = (
    *_states(
        "broker", ("nats", "valkey"),
        login_behind_trimming="A login named a place that had been trimmed.",
    ),
    *_states(
        "nats", ("nats",),
        duplicate="The server recognised a message that came again.",
    ),
    *_states(
        "valkey", ("valkey",),
        known="The server had stored all of a batch that came again.",
    ),
    *_states(
        "kafka", ("kafka",),
        answered_while_away="Answers came when the sender was away, and were told at its return.",
        resent_by_the_library="Messages were left to the library, which sends them again itself.",
    ),
)  # fmt: skip

CATALOGUE: tuple[RareState, ...] = (
    *_LOAD, *_RUN, *_RUN_OF_BUCKETS, *_CORE, *_EDGE, *_CLIENT, *_STORE, *_NODE, *_BROKER,
    *_EACH_BROKER,
)  # fmt: skip
"""All of them, in the order in which they are told."""

LEFT_OUT: dict[str, str] = {
    "run.refused_for_good": "Nothing in a scenario is refused for ever; the broker tests have it.",
    "run.outcome_unknown": "No run ends before its senders have their answers, unless the system "
    "or a load process dies; the tests of both have it.",
    "run.unknown_and_stored": "As run.outcome_unknown.",
    "run.promotion_found_done": "An answer that is lost in the milliseconds behind its commit; the "
    "simulator has it.",
    "core.promotion_of_another_epoch": "As run.promotion_found_done.",
    "core.batch_of_several_appends": "No scenario sends so much in a batch; tests of bad input do.",
    "core.producer_forgotten": "It takes a week of a core's running time; unit tests wind it on.",
    "core.promotion_taken_back": "A full store and a promotion in one moment: the simulator has "
    "both.",
    "core.read_damaged": "Nothing damages rows in a run; tests flip their bits.",
    "core.refused_bad_name": "The client refuses such a name itself; tests send it all the same.",
    "core.refused_busy": "64 MiB that wait for one commit: the edges' credit stops earlier.",
    "core.refused_quota": "It takes 100,000 inboxes or a million producers; tests set less.",
    "core.refused_too_large": "The client refuses such a batch itself.",
    "core.resume_refused_unknown_session": "It takes a core that forgot a session, or a logout "
    "that overtakes a lost link by milliseconds; unit tests have both.",
    "core.slow_consumer": "64 MiB for one link: the windows stop earlier; unit tests have it.",
    "core.too_many_connections": "It takes 1,024 edges; unit tests set less.",
    "core.refused_at_the_door": "Nobody in a run has a wrong token or name; tests have.",
    "edge.batch_of_an_older_connection": "Two connections of a sender within milliseconds; unit "
    "tests and the simulator have it.",
    "edge.cursor_of_an_ended_session": "An acknowledgement that crosses the end of its session; "
    "unit tests have it.",
    "client.told_gap": "Edges drop what waits behind a gap, so that a sender hears of one on a "
    "crowded machine alone; unit tests say it.",
    "client.end_unanswered": "A question that crosses the end of its session; unit tests have it.",
    "client.told_busy": "The edges' credit stops earlier; unit tests say it all the same.",
    "edge.client_over_its_share": "A client of ours keeps to its credit; tests send beyond it.",
    "edge.buffer_full": "It takes 128 MiB; unit tests set less.",
    "edge.login_over_quota": "No client has so many sessions; unit tests have.",
    "edge.slow_consumer": "The harness' clients read whatever comes; tests stop reading.",
    "edge.door_full": "It takes a thousand clients of one edge; unit tests set less.",
    "edge.refused_at_the_door": "Nobody in a run has a wrong token; tests have.",
    "broker.answered_twice": "No broker of ours does that; unit tests do.",
    "broker.answered_as_known": "Each broker has words of its own: nats.duplicate, valkey.known.",
    "broker.left_unknown": "Only a client library that gives up without a word brings it.",
    "broker.refused": "No message of ours is larger than a broker takes.",
    "nats.nobody_answers": "It takes a server that answers while its streams do not.",
    "nats.refused": "It takes a server with limits; the broker tests have one.",
    "valkey.known_in_part": "A script is done wholly or not at all, and batches come again whole.",
    "valkey.refused": "It takes a server with limits; the broker tests have one.",
}
"""States that are counted and that no suite of ours reaches, and why that is so."""

BY_NAME = {state.name: state for state in CATALOGUE}


def states_of(systems: frozenset[str]) -> list[RareState]:
    """Return the states that at least one of these systems can reach, in order."""
    return [state for state in CATALOGUE if any(map(state.is_of, systems))]


def never_reached(reached: dict[str, int], systems: frozenset[str]) -> list[str]:
    """Return the names of those that these systems can reach and did not, in order."""
    return [state.name for state in states_of(systems) if not reached.get(state.name)]
