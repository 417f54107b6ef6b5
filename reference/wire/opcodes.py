"""The opcodes of the protocol."""

from __future__ import annotations

from enum import IntEnum


class Opcode(IntEnum):
    """What a frame means. BATCH_SEND is 0x04, as the original design fixed it."""

    HELLO = 0x01
    WELCOME = 0x02
    SEND = 0x03
    BATCH_SEND = 0x04
    OK = 0x05
    REFUSED = 0x06
    LOGIN = 0x07
    LOGIN_OK = 0x08
    LOGOUT = 0x09
    LOGOUT_OK = 0x0A
    DELIVER = 0x0B
    CURSOR_ACK = 0x0C
    CURSOR_OK = 0x0D
    END = 0x0E
    END_OK = 0x0F
    PRESENCE = 0x10
    PRESENCE_OK = 0x11
    PROMOTE = 0x12
    PROMOTED = 0x13
    INSPECT = 0x14
    INSPECT_OK = 0x15
    RESUME = 0x16
    SUPERSEDED = 0x17
    HEARTBEAT = 0x18
    HEARTBEAT_OK = 0x19
    ERROR = 0x1A
