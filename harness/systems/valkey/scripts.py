"""What is done within the server, in one step each: append with deduplication, move a cursor.

An entry's own id is its position: ``<pos>-1``. The next position and the last n of every producer
lie in a hash beside the stream and change in the same script. The server writes what a script did
to its log as one transaction, so that after a crash all of it is there or nothing.
"""

from __future__ import annotations

APPEND = """
local known = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1')
local n = tonumber(ARGV[2])
local next_pos = tonumber(redis.call('HGET', KEYS[2], 'next') or '0')
local pos = next_pos
for index = 3, #ARGV do
  if n > known then
    redis.call('XADD', KEYS[1], string.format('%d-1', pos), 'm', ARGV[index])
    pos = pos + 1
  end
  n = n + 1
end
if pos > next_pos then
  redis.call('HSET', KEYS[2], 'next', string.format('%d', pos),
             ARGV[1], string.format('%d', n - 1))
end
return {known, next_pos}
"""
"""KEYS: stream, hash. ARGV: producer, n of the first message, the messages. Returns the last n that
was known before and the position of the first message that was not."""

MOVE_CURSOR = """
local old = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '-1')
if tonumber(ARGV[2]) > old then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 0
"""
"""KEYS: hash of all cursors. ARGV: inbox, position. A cursor never moves back."""
