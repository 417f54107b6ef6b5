"""The settings of node processes: one JSON argument, checked field by field."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec

from reference.core.settings import CoreSettings
from reference.edge.settings import EdgeSettings
from reference.node.secrets import KEYS, read_secret, refuse_arguments, refuse_weak_keys
from reference.node.secrets import SettingsError as SettingsError
from reference.node.tls import TlsFiles
from reference.wire.limits import BUCKET_COUNT_MAX

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


NUMBER_MAX = 2**40
"""The largest number that a setting may have."""

MAY_BE_ZERO = frozenset(
    {"hold_ms", "tail_cache_bytes_max", "hot_writes_per_s", "cool_writes_per_s"}
)
"""Settings that can be switched off by 0."""


class CoreNodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A core process.

    Attributes:
        core: The machine's own settings.
        edge_key_file: File that holds `core.edge_key`, in place of it.
        admin_key_file: Likewise.
        database: Path of the SQLite file.
        tls: Certificates; without them nothing is encrypted.
        host: Where to listen; without TLS a loopback address.
        port: 0 lets the system choose; the ready line names it.
        lifeline: End at once when standard input ends.
        log_level: A level of the standard library's logging.
    """

    core: CoreSettings
    database: str
    edge_key_file: str = ""
    admin_key_file: str = ""
    tls: TlsFiles | None = None
    host: str = "127.0.0.1"
    port: Port = 0
    lifeline: bool = False
    log_level: str = "INFO"


class EdgeNodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edge process; `core_host` and `core_port` say where the core (or its proxy) listens.

    `token_file`, `client_key_file` and `admin_key_file` name files that hold what `edge` would.
    """

    edge: EdgeSettings
    core_port: Port
    token_file: str = ""
    client_key_file: str = ""
    admin_key_file: str = ""
    tls: TlsFiles | None = None
    core_host: str = "127.0.0.1"
    host: str = "127.0.0.1"
    port: Port = 0
    lifeline: bool = False
    log_level: str = "INFO"


FROM_ENVIRONMENT = "env:"
"""What stands before the name of an environment variable that holds settings."""

S = TypeVar("S", CoreNodeSettings, EdgeNodeSettings)


def decode_settings(text: str, kind: type[S]) -> S:
    """Return the settings that a JSON text holds.

    A text as ``env:NAME`` is the environment variable that holds it, which is gone afterwards. Only
    such settings may hold secrets: arguments can be read by everybody on the machine.

    Raises:
        SettingsError: A field is unknown, missing or wrong, or an address is not loopback.
    """
    is_argument = not text.startswith(FROM_ENVIRONMENT)
    if not is_argument:
        text = os.environ.pop(text.removeprefix(FROM_ENVIRONMENT), "")
    try:
        try:
            raw = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise SettingsError(f"the settings are not JSON: {error}") from None
        _refuse_unknown(raw, kind, "")
        settings = msgspec.convert(raw, kind)
    except msgspec.MsgspecError as error:
        raise SettingsError(str(error)) from None
    if settings.tls is None:
        require_loopback(settings.host)
    if isinstance(settings, EdgeNodeSettings):
        if settings.tls is None:
            require_loopback(settings.core_host)
        elif not settings.tls.authority:
            raise SettingsError("tls.authority is missing: what the edge trusts the core by")
        if not 1 <= settings.edge.core_links <= 64:
            raise SettingsError("edge.core_links lies between 1 and 64")
        _refuse_out_of_range(settings.edge, "edge.")
        pulse = settings.edge.pulse
        _refuse_short_deadline("edge.pulse", pulse.silence_ms, pulse.deadline_ms)
    else:
        core = settings.core
        _refuse_out_of_range(core, "core.")
        _refuse_a_rule_that_flaps(core)
        _refuse_short_deadline("core", core.heartbeat_interval_ms, core.heartbeat_deadline_ms)
    if is_argument:
        machine = "core" if isinstance(settings, CoreNodeSettings) else "edge"
        refuse_arguments(f"{machine}.", raw[machine])
    return with_secrets(settings)


def with_secrets(settings: S) -> S:
    """Return the settings with what stands in the files that they name.

    Raises:
        SettingsError: A file cannot be taken, a key is too weak, or an edge has no token.
    """
    machine: Any
    if isinstance(settings, CoreNodeSettings):
        machine = settings.core
        files = {"edge_key": settings.edge_key_file, "admin_key": settings.admin_key_file}
    else:
        machine = settings.edge
        files = {
            "token": settings.token_file,
            "client_key": settings.client_key_file,
            "admin_key": settings.admin_key_file,
        }
    machine = replace(machine, **{name: read_secret(at) for name, at in files.items() if at})
    for name in KEYS:
        refuse_weak_keys(name, getattr(machine, name, ""))
    if isinstance(settings, EdgeNodeSettings) and not machine.token:
        raise SettingsError("edge.token is missing: what opens the core to this edge")
    field = "core" if isinstance(settings, CoreNodeSettings) else "edge"
    return msgspec.structs.replace(settings, **{field: machine})


def _refuse_out_of_range(settings: object, path: str) -> None:
    """Every number of a machine is a size, a count or a time: none is 0 or endless."""
    for field in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if is_dataclass(value):
            _refuse_out_of_range(value, f"{path}{field.name}.")
        elif type(value) is int:
            least = 0 if field.name in MAY_BE_ZERO else 1
            if not least <= value <= NUMBER_MAX:
                raise SettingsError(
                    f"{path}{field.name} lies between {least} and {NUMBER_MAX}, not {value}"
                )


def _refuse_a_rule_that_flaps(core: CoreSettings) -> None:
    """A rule whose thresholds touch would change with every breath of the load."""
    hot, cool = core.hot_writes_per_s, core.cool_writes_per_s
    if hot and not cool < hot:
        raise SettingsError(
            f"core.cool_writes_per_s is less than hot_writes_per_s {hot}, not {cool}"
        )
    count = core.hot_bucket_count
    if not 2 <= count <= BUCKET_COUNT_MAX:
        raise SettingsError(
            f"core.hot_bucket_count lies between 2 and {BUCKET_COUNT_MAX}, not {count}"
        )


def _refuse_short_deadline(path: str, silence_ms: int, deadline_ms: int) -> None:
    if deadline_ms < 2 * silence_ms:
        raise SettingsError(
            f"{path}: the deadline of {deadline_ms} ms is shorter than two silences of "
            f"{silence_ms} ms, so living peers would be given up"
        )


def require_loopback(host: str) -> None:
    """Refuse every address that is not loopback, for nodes without TLS.

    Raises:
        SettingsError: The address can be reached from elsewhere, or is a name.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"host {host!r}: only a loopback address (127.0.0.1 or ::1) is allowed without TLS"
        )


def _refuse_unknown(raw: Any, kind: Any, path: str) -> None:
    """Dataclasses inside a struct ignore unknown fields; a misspelt limit must not pass so."""
    if not isinstance(raw, dict):
        return
    if is_dataclass(kind):
        known = {field.name for field in fields(kind)}
        for name in raw:
            if name not in known:
                raise SettingsError(
                    f"unknown field `{path}{name}`; known: {', '.join(sorted(known))}"
                )
    for name, inner in get_type_hints(kind).items():
        if name in raw and (is_dataclass(inner) or hasattr(inner, "__struct_fields__")):
            _refuse_unknown(raw[name], inner, f"{path}{name}.")
