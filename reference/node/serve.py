"""Node processes: start a machine on a port, say so, and end in order.

Launchers of tests pass other factories; nothing here or below it knows of faults.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, cast

import anyio
from anyio.abc import SocketAttribute, SocketListener

from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.edge.machine import EdgeMachine
from reference.edge.settings import EdgeSettings
from reference.events import Recovered
from reference.node.driver import Driver, Machine
from reference.node.log import LineLimit
from reference.node.memory import keep_freed_memory
from reference.node.settings import CoreNodeSettings, EdgeNodeSettings
from reference.node.tls import server_context, trust
from reference.store import schema
from reference.store.port import Store, take_over
from reference.store.sqlite import SqliteStore
from reference.wire import versions

EXIT_FAILED: Final = 1
"""A store, a machine or the port failed; the log says why. The next start recovers."""

EXIT_LIFELINE: Final = 3
"""Standard input ended: whoever started this node is gone."""

BACKLOG: Final = 1_024
"""Connections that the system keeps until they are accepted."""

DAMAGE_LINES_MAX: Final = 100
"""So many lines of each kind say what of the store is damaged."""

log = logging.getLogger("tallystick.node")

CoreFactory = Callable[[CoreSettings, Recovered], Machine]
StoreFactory = Callable[[Path], Store]
EdgeFactory = Callable[[EdgeSettings], Machine]


def run_core(
    settings: CoreNodeSettings,
    machine_factory: CoreFactory = CoreMachine,
    store_factory: StoreFactory = SqliteStore,
) -> int:
    """Run a core until it is told to stop; return the exit code.

    Raises:
        SettingsError: Its certificates cannot be used.
    """
    tls = _tls_of(settings)
    _start(settings)
    try:
        store = store_factory(Path(settings.database))
        recovered = take_over(store)
        _tell_damage(recovered)
        machine = machine_factory(settings.core, recovered)
    except Exception as error:
        log.error("the core cannot start: %s: %s", type(error).__name__, error)
        return EXIT_FAILED
    return _serve("core", settings, lambda: Driver(machine, store=store, tls=tls))


def _tell_damage(recovered: Recovered) -> None:
    """Log what of the store is not as it was written; the core starts without it."""
    for note in recovered.notes[:DAMAGE_LINES_MAX]:
        log.error("the store is damaged: %s", note)
    for inbox, why in list(recovered.quarantined.items())[:DAMAGE_LINES_MAX]:
        log.error("inbox %r is quarantined, the others go on: %s", inbox, why)
    if not recovered.inboxes_whole:
        log.error("inboxes are missing in the store: none is taken for new until it is mended")
    if not recovered.forgotten_whole:
        log.error("forgotten producers are missing in the store: none is taken for new")


def run_edge(settings: EdgeNodeSettings, machine_factory: EdgeFactory = EdgeMachine) -> int:
    """Run an edge until it is told to stop; return the exit code.

    Raises:
        SettingsError: Its certificates cannot be used.
    """
    tls = _tls_of(settings)
    files = settings.tls
    trusted = None if files is None else trust(files.authority, files.core_name)
    _start(settings)
    machine = machine_factory(settings.edge)
    upstream = (settings.core_host, settings.core_port)

    def make() -> Driver:
        return Driver(machine, upstream=upstream, tls=tls, trusted=trusted)

    return _serve("edge", settings, make)


def _tls_of(settings: CoreNodeSettings | EdgeNodeSettings) -> ssl.SSLContext | None:
    return None if settings.tls is None else server_context(settings.tls)


def _start(settings: CoreNodeSettings | EdgeNodeSettings) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(LineLimit())
    keep_freed_memory()
    if settings.lifeline:
        threading.Thread(target=_watch_lifeline, name="lifeline", daemon=True).start()


def _watch_lifeline() -> None:
    """End the process at once when standard input ends, whatever the event loop is doing."""
    while os.read(0, 4096):
        pass
    os._exit(EXIT_LIFELINE)


def _serve(
    role: str, settings: CoreNodeSettings | EdgeNodeSettings, make: Callable[[], Driver]
) -> int:
    async def main() -> int:
        try:
            listener = await anyio.create_tcp_listener(
                local_host=settings.host, local_port=settings.port, backlog=BACKLOG
            )
        except OSError as error:
            why = error.strerror or error
            log.error("the %s cannot listen on %s:%d: %s", role, settings.host, settings.port, why)
            return EXIT_FAILED
        driver = make()
        port = listener.extra(SocketAttribute.local_port)

        def ready() -> None:
            about = {"role": role, "port": port, "pid": os.getpid(), "wire": versions.SPOKEN}
            about |= {"store": schema.SCHEMA_VERSION}
            sys.stdout.write(f"ready {json.dumps(about)}\n")
            sys.stdout.flush()

        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_on_signal, driver, signals)
                await driver.run(cast(SocketListener, listener.listeners[0]), ready)
                tasks.cancel_scope.cancel()
        log.info("the %s has stopped", role)
        return 0

    try:
        return anyio.run(main, backend_options={"use_uvloop": True})
    except BaseException as error:
        for cause in _causes(error):
            log.error("the %s ends: %s: %s", role, type(cause).__name__, cause, exc_info=cause)
        return EXIT_FAILED


async def _stop_on_signal(driver: Driver, signals: AsyncIterator[signal.Signals]) -> None:
    async for _ in signals:
        driver.stop()


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]
