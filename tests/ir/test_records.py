"""Records that are made in great numbers are values, as frozen dataclasses are."""

import pickle
from dataclasses import replace

from gradserve.ir.graph import Node, Origin
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.elementwise.arithmetic import Add, Mul

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
