"""Programs of torch.export that cannot be imported: refusals that name the node, and files that are damaged or lie."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from gradserve.client.importers import from_torch
from gradserve.ir.errors import GradserveError, InvalidGraph, InvalidRequest, LimitExceeded, Untraceable
from tests.clients.importers.torch_archives import (
    BOOL,
    DOUBLE,
    MODEL,
    NARROW,
    PROGRAMS,
    archive,
    node,
    of,
    one,
    program,
    rewritten,
    tensor,
)

TRACE = (
    'File "/home/me/model.py", line 12, in forward\n  File "/venv/site-packages/torch/nn/modules/a.py", line 3, in f'
)
OPEN = {"dtype": DOUBLE, "sizes": [{"as_expr": {"expr_str": "s0"}}]}
MASK = {"as_optional_tensors": [{"as_tensor": {"name": "m"}}]}
REFUSED = {
    "an operator that draws": (
        one("aten.rrelu_with_noise.default", {"self": of("x")}, tensor((2, 3)), TRACE),
        Untraceable,
        r"model.py:12: rrelu_with_noise.default 'y' of float64\[2,3\] cannot be imported: .*; give the random numbers",
    ),
    "an operator that is unknown": (
        one("acme.fancy.default", {"self": of("x")}, tensor((2, 3))),
        Untraceable,
        r"acme.fancy.default 'y' of float64\[2,3\] cannot be imported: there is no translation of acme.fancy.default",
    ),
    "a mask that is computed": (
        one("aten.index.Tensor", {"self": of("x"), "indices": MASK}, tensor((4,)), m=tensor((2, 3), BOOL)),
        Untraceable,
        r"a computed mask gives a shape that depends on numbers; choose by torch.where instead of x\[mask\]",
    ),
    "complex numbers of 32 bits": (
        one("aten._to_copy.default", {"self": of("x")}, tensor((2, 3), NARROW), TRACE),
        Untraceable,
        "model.py:12: _to_copy.default 'y' of .* no graph has elements of complex32; convert to complex64",
    ),
    "an input of 32 bits": (
        one("aten.neg.default", {"self": of("x")}, tensor((2, 3), NARROW), x=tensor((2, 3), NARROW)),
        InvalidRequest,
        "x is complex32, and no graph takes such an array; give float32, float64, int64 or bool",
    ),
    "an open length": (
        one("aten.neg.default", {"self": of("x")}, tensor((2, 3)), x=OPEN),
        InvalidRequest,
        "open lengths; export it without dynamic_shapes",
    ),
    "a shape that depends on numbers": (
        one("aten.index.Tensor", {"self": of("x"), "indices": MASK}, OPEN, TRACE, m=tensor((2, 3), BOOL)),
        Untraceable,
        "model.py:12: index.Tensor 'y' of .* the shape of its result depends on numbers; choose by torch.where",
    ),
    "operands that do not fit": (
        one("aten.mm.default", {"self": of("x"), "mat2": of("x")}, tensor((2, 3))),
        Untraceable,
        r"mm.default 'y' of float64\[2,3\], float64\[2,3\] cannot be imported",
    ),
    "another shape than the program tells": (
        one("aten.neg.default", {"self": of("x")}, tensor((3, 2))),
        Untraceable,
        r"it gives float64\[2,3\] here, and float64\[3, 2\] in torch",
    ),
    "a value that nothing makes": (
        one("aten.neg.default", {"self": of("z")}, tensor((2, 3))),
        InvalidGraph,
        "there is no value 'z' before it",
    ),
    "another schema": (archive({"schema_version": {"major": 9}}), InvalidGraph, "is of schema 9, and 8 is read"),
    "two programs": (
        archive({}, **{"archive/models/other.json": b"{}"}),
        InvalidGraph,
        "holds 2 programs; save one by torch.export.save",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_imported_is_refused_by_name(case: str):
    source, error, said = REFUSED[case]
    with pytest.raises(error, match=said):
        from_torch(source)


def test_a_file_takes_no_examples():
    with pytest.raises(InvalidRequest, match="a file is a whole program, which takes no examples"):
        from_torch(PROGRAMS / "mixer.pt2", np.ones(3))


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"not an archive", archive(3), archive([]), archive({"schema_version": 8})],
    ids=["nothing", "the first letters", "no archive", "a number", "a list", "a version alone"],
)
def test_bytes_that_are_no_program_are_refused(data: bytes):
    with pytest.raises(InvalidGraph):
        from_torch(data)


def changed_tensor(**more: Any) -> bytes:
    def change(data: bytes) -> bytes:
        config = json.loads(data)
        payload = config["config"]["network.head.bias"]
        payload |= {key: value for key, value in more.items() if key in payload}
        payload["tensor_meta"] |= {key: value for key, value in more.items() if key in payload["tensor_meta"]}
        return json.dumps(config).encode()

    return rewritten("archive/data/weights/model_weights_config.json", change)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"use_pickle": True}, "network.head.bias is pickled, and nothing is unpickled"),
        ({"sizes": [{"as_int": 1 << 40}]}, "there are 3 elements of it"),
        ({"sizes": [{"as_int": -1}]}, "has the shape"),
        ({"storage_offset": {"as_int": 2}}, "there are 3 elements of it"),
        ({"strides": [{"as_int": -1}]}, "has the shape"),
        ({"layout": 2}, "network.head.bias is sparse; make it dense"),
        ({"path_name": "../../etc/passwd"}, "damaged"),
        ({"dtype": 9}, "network.head.bias holds complex32"),
    ],
)
def test_arrays_that_are_not_what_they_say_are_refused(more: dict[str, Any], said: str):
    with pytest.raises(GradserveError, match=said):
        from_torch(changed_tensor(**more))


def test_damaged_programs_are_refused_with_typed_errors():
    rng, refused = np.random.default_rng(5), 0
    with zipfile.ZipFile(PROGRAMS / "mixer.pt2") as given:
        text = given.read(MODEL)
    for _ in range(60):
        data = bytearray(text)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(32, 127)
        try:
            from_torch(rewritten(MODEL, lambda _, data=data: bytes(data)))
        except GradserveError:
            refused += 1
    assert refused > 20


def test_archives_that_declare_too_much_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gradserve.client.importers.aten.archive.MOST_BYTES", 1000)
    with pytest.raises(LimitExceeded, match=r"declares .* bytes; the limit is 1000"):
        from_torch(PROGRAMS / "mixer.pt2")


def packed(size: int) -> bytes:
    """An archive whose program is so many blanks, packed into few bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(MODEL, b" " * size)
    return file.getvalue()


WIDE, BIG = 1 << 20, 1 << 40
LARGE = {
    "a range": one("aten.arange.default", {"end": {"as_int": BIG}}, tensor((BIG,))),
    "a unit matrix": one("aten.eye.default", {"n": {"as_int": WIDE}}, tensor((WIDE, WIDE))),
    "a layout": one(
        "aten.as_strided.default",
        {"self": of("x"), "size": {"as_ints": [WIDE, WIDE]}, "stride": {"as_ints": [0, 0]}},
        tensor((WIDE, WIDE)),
    ),
    "an edge": one(
        "aten.replication_pad1d.default", {"self": of("x"), "padding": {"as_ints": [BIG, 0]}}, tensor((2, BIG + 3))
    ),
    "what is packed": packed((1 << 26) + 1),
}


@pytest.mark.parametrize("case", LARGE)
def test_what_is_large_is_refused_before_it_is_made(case: str):
    with pytest.raises(LimitExceeded, match=r"the limit is|declares"):
        from_torch(LARGE[case])


def test_slices_that_the_program_does_not_name_are_not_made():
    read = program(
        [node("aten.unbind.int", {"self": of("x")}, ["y"])],
        {"x": tensor((1 << 26,)), "y": tensor(())},
        ["x"],
        ["y"],
    )
    with pytest.raises(Untraceable, match="it gives 67108864 slices here, and 1 in torch"):
        from_torch(archive(read))


def test_places_beside_an_array_are_refused():
    told = {"self": of("x"), "size": {"as_ints": [3, 3]}, "stride": {"as_ints": [3, 1]}}
    with pytest.raises(Untraceable, match="it reads beside the array; use views and slices"):
        from_torch(one("aten.as_strided.default", told, tensor((3, 3))))
