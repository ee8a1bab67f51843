"""Kafka's own choice of a partition, so that every client in any language agrees on it."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


@lru_cache(maxsize=256)
def _words(count: int) -> Struct:
    return Struct(f"<{count}I")


def murmur2(data: bytes) -> int:
    """MurmurHash2 as org.apache.kafka.common.utils.Utils.murmur2 has it, unsigned 32 bits."""
    length = len(data)
    whole = length // 4
    h = _SEED ^ length
    for word in _words(whole).unpack_from(data):
        k = word * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    tail = data[whole * 4 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=16_384)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: Kafka's default partitioner."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
