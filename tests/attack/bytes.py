"""Protobuf messages written byte by byte, so that they may say what no message object can."""


def varint(number: int) -> bytes:
    """A number, seven bits a byte; a negative one as 64 bits."""
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def field(number: int, data: bytes) -> bytes:
    """A field that holds bytes, a text or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data
