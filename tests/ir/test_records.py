"""Records are values, as the dataclasses of the standard library are, however late their methods are made."""

from __future__ import annotations
import __future__

import copy
import dataclasses
import inspect
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field, replace
from types import ModuleType

import pytest

from gradserve.ir import records
from gradserve.ir.graph import Node, Origin
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.elementwise.arithmetic import Add, Mul
from gradserve.ops.movement.shapes import BroadcastTo

NODE = Node(Add(), (0, 1), (TensorType(ElementType.FLOAT64, (3,)),), Origin("loss.py", 3))


def test_equal_fields_make_equal_records():
    """An origin says where a node was written, not what it is."""
    same = replace(NODE, origin=None)
    assert same == NODE
    assert hash(same) == hash(NODE)
    assert replace(NODE, op=Mul()) != NODE


def test_records_are_pickled_with_all_fields():
    again = pickle.loads(pickle.dumps(NODE))
    assert again == NODE
    assert again.origin == NODE.origin


def test_hashes_stay_in_their_process():
    """Those of texts are others in the next one."""
    op = BroadcastTo((2, 3))
    assert hash(op) == hash(BroadcastTo((2, 3)))
    assert "_hash" in vars(op)
    again = pickle.loads(pickle.dumps(op))
    assert vars(again) == {"shape": (2, 3)}
    assert again == op


OPTIONS = [
    {},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"slots": True},
    {"eq": False},
    {"frozen": True, "eq": False},
    {"frozen": True, "slots": True, "repr": False},
]


CLASSES = """
@made
class Point:
    x: int
    label: str = field(default="here", compare=False)
    tags: list[str] = field(default_factory=list, repr=False, hash=False)

@made
class Shifted(Point):
    by: int = 2
    where: int = field(init=False, default=0)

    def __post_init__(self):
        object.__setattr__(self, "where", self.x + self.by)

@made
class Own:
    x: int = 1

    def __eq__(self, other):
        return isinstance(other, type(self))

    def __repr__(self):
        return "own"

@made
class Hashed(Own):
    def __hash__(self):
        return 7
"""


def family(dataclass, options):
    """A module with classes of several kinds of fields and methods, by this decorator."""
    module = ModuleType("theirs")
    sys.modules[module.__name__] = module
    vars(module).update(made=dataclass(**options), field=field)
    exec(compile(CLASSES, "theirs.py", "exec", __future__.annotations.compiler_flag), vars(module))
    return module


def behaviour(module):
    """What one sees of its classes, without using them as their authors do first."""
    seen = []

    def see(ask):
        try:
            seen.append(ask())
        except Exception as error:
            seen.append((type(error), str(error)))

    point, shifted = module.Point, module.Shifted
    see(lambda: point.__repr__ is object.__repr__ or repr(point(3, tags=["a"])))
    see(lambda: point(3) == point(3, label="there"))
    see(lambda: point(3) == shifted(3))
    see(lambda: point(3) != point(4))
    see(lambda: hash(point(3)) == hash(point(3, tags=["b"])))
    see(lambda: point.__hash__ is object.__hash__ or hash(point(3)))
    see(point)
    see(lambda: point(3, 4, 5, 6, 7))
    see(lambda: shifted(3, by=5).where)
    see(lambda: point.__repr__ is object.__repr__ or repr(shifted(1)))
    see(lambda: hasattr(point(3), "__dict__"))
    see(lambda: setattr(point(3), "x", 4))
    see(lambda: delattr(point(3), "x"))
    see(lambda: replace(shifted(3), x=9).where)
    see(lambda: dataclasses.asdict(shifted(3)))
    see(lambda: str(inspect.signature(shifted)))
    see(lambda: point.__match_args__)
    see(lambda: pickle.loads(pickle.dumps(shifted(3))).where)
    see(lambda: copy.deepcopy(shifted(3, label="x")).label)
    see(lambda: (module.Own() == module.Own(4), repr(module.Own())))
    see(lambda: (module.Hashed.__hash__ is None) or hash(module.Hashed()) == 7)
    see(lambda: module.Own.__hash__ is None)
    see(lambda: hash(module.Own()) == hash(module.Own()))
    return seen


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_they_behave_as_the_standard_library_s_do(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "theirs", None)
    theirs = behaviour(family(dataclasses.dataclass, options))
    assert behaviour(family(records.dataclass, options)) == theirs


def test_another_behaviour_would_be_seen(monkeypatch):
    """A planted fault: what is compared has other options."""
    monkeypatch.setitem(sys.modules, "theirs", None)
    found = [behaviour(family(records.dataclass, options)) for options in OPTIONS]
    assert all(one != other for place, one in enumerate(found) for other in found[:place])


def test_methods_are_made_once_for_all_threads():
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):

            @records.dataclass(frozen=True)
            class Pair:
                first: int
                second: int = 2

            made = list(pool.map(Pair, range(8)))
            assert [one.first for one in made] == list(range(8))
            assert not isinstance(vars(Pair)["__init__"], records._Later)
            assert isinstance(vars(Pair)["__eq__"], records._Later)


def test_what_is_frozen_stays_so():
    name = "shape"
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'shape'"):
        setattr(TensorType(ElementType.FLOAT64, (3,)), name, ())
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'shape'"):
        delattr(TensorType(ElementType.FLOAT64, (3,)), name)
