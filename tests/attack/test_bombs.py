"""Small requests that ask for very much are refused by name, by a real service, with little memory."""

import pytest

from tests.attack import bombs
from tests.attack.bytes import field

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service():
    with bombs.target() as found:
        yield found


def test_every_bomb_is_refused_or_explained(service):
    """Every other one; `python -m tests.attack.bombs` sends all, and tells what time they take."""
    taken = list(bombs.bombs())[::2]
    found = {name: service.meet(bomb) for name, bomb in taken}
    assert {name: str(effect) for name, effect in found.items() if not effect.is_fine} == {}
    assert {effect.code for effect in found.values()} >= {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}


def test_parts_are_counted_before_they_are_made(service):
    found = {name: service.meet(bomb) for name, bomb in list(bombs.floods())[::2]}
    assert {name: str(effect) for name, effect in found.items() if not effect.is_fine} == {}
    assert {effect.code for effect in found.values()} == {"RESOURCE_EXHAUSTED"}


def test_what_is_told_of_faults_does_not_grow_with_them(service):
    found = {name: service.meet(bomb) for name, bomb in list(bombs.faults())[::2]}
    assert {name: str(effect) for name, effect in found.items() if not effect.is_fine} == {}


def test_what_takes_memory_would_be_seen(service):
    """An array of 60 MB in a request that is well-formed: the service takes it, and more memory than a bomb may."""
    data = field(1, field(3, field(3, bytes(60_000_000))))
    assert service.meet(bombs.Bomb("GraphService/CheckGraph", data)).grown > bombs.MOST_BYTES


def test_weights_as_long_as_an_axis_are_not_made_while_deriving(service):
    found = {name: service.meet(bomb) for name, bomb in bombs.bombs() if "spectrum of" in name}
    assert {name: str(effect) for name, effect in found.items() if not effect.is_fine} == {}
    assert found
