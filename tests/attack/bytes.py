"""Protobuf messages written byte by byte, and bytes and texts with a few changes, so that they say what none should."""

import random

_NUMBERS = ("0", "-1", "1", "2147483648", "9" * 20, "9" * 5000, "1e999", "nan", "-inf", "0x7FF0000000000001")
_WORDS = (*'()[]{}<>,=:"\n \0é', "%0", "%9", "->", "x", "f64")


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


def mangled(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """The bytes with one to four changes; some take over a piece of another message."""
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = dice.randrange(len(made) + 1)
        until = min(len(made), at + dice.choice((1, 2, 8, 40)))
        match dice.randrange(6):
            case 0:
                made[at:until] = bytes(b ^ 1 << dice.randrange(8) for b in made[at:until])
            case 1:
                del made[at:until]
            case 2:
                made[at:at] = made[at:until] * dice.choice((1, 2, 30))
            case 3:
                made[at:at] = varint(dice.choice((0, 1, 127, 128, 2**31, 2**32, 2**63, 2**64 - 1)))
            case 4:
                start = dice.randrange(len(other) + 1)
                made[at:until] = other[start : start + dice.choice((2, 10, 100))]
            case _:
                made[at:until] = dice.randbytes(until - at)
    return bytes(made)


def garbled(text: str, other: str, dice: random.Random) -> str:
    """The text with one to four changes: of characters, words, numbers, or lines of another."""
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = dice.randrange(len(text) + 1)
        until = min(len(text), at + dice.choice((1, 1, 3, 20)))
        match dice.randrange(6):
            case 0:
                text = text[:at] + text[until:]
            case 1:
                text = text[:at] + dice.choice(_WORDS) * dice.choice((1, 1, 2, 2000)) + text[at:]
            case 2:
                numbers = [k for k, c in enumerate(text) if c.isdigit()]
                if numbers:
                    k = dice.choice(numbers)
                    text = text[:k] + dice.choice(_NUMBERS) + text[k + 1 :]
            case 3:
                text = text[:at] + text[at:until] * dice.choice((2, 3, 500)) + text[until:]
            case 4:
                lines = text.split("\n")
                lines.insert(dice.randrange(len(lines) + 1), dice.choice(other.split("\n")))
                text = "\n".join(lines)
            case _:
                text = text[:at] + chr(dice.choice((0, 9, 40, 58, 127, 0x2028, 0xD7FF, 0x1F600))) + text[until:]
    return text
