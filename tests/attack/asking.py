"""Sound requests of every method about a graph, explained and answered in a process of their own."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gradserve.execution.numpy.executor import NumpyPrepared
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.v1 import claim_pb2, execution_pb2, matrix_pb2
from gradserve.wire import encode_graph, encode_tensor
from gradserve.wire.methods import new_request
from tests.attack.house import House
from tests.attack.requests import asked_of
from tests.attack.trial import Ended, Outcome

Change: Any = Callable[[Any, Graph], None]
_MOST_ANSWERS = 100
_MADV_POPULATE_READ = 22


class Plain(random.Random):
    """Dice that always say the same: several inputs, ordinary numbers, no field that a request need not have."""

    def random(self) -> float:
        """More than what is rare."""
        return 0.69


def _nothing(_request: Any, _graph: Graph) -> None:
    """As it is."""


def _with(**fields: Any) -> Change:
    """A few fields as they are given."""

    def change(request: Any, _: Graph) -> None:
        for name, value in fields.items():
            setattr(request, name, value)

    return change


def _optional(**options: Any) -> Change:
    """Options of the call."""

    def change(request: Any, _: Graph) -> None:
        for name, value in options.items():
            setattr(request.call.options, name, value)

    return change


def _batched(request: Any, graph: Graph) -> None:
    """Three points, summed; vectors at each of them."""
    request.call.batch.inputs.extend(graph.input_types)
    request.call.batch.reduction = execution_pb2.REDUCTION_SUM
    for tensors in (request.call.arguments, *(getattr(request, f) for f in ("tangents",) if hasattr(request, f))):
        for name in [*tensors]:
            _fill(tensors[name], graph.input_types[name], points=(3,))


def _claiming(of: str) -> Change:
    """A claim, which is wrong."""

    def change(request: Any, graph: Graph) -> None:
        (output,) = graph.output_types.items()
        request.of = claim_pb2.ClaimedDerivative.Value(f"CLAIMED_DERIVATIVE_{of}")
        types = {name: graph.input_types[name] for name in request.wrt}
        for name, type_ in types.items() if of in ("JVP", "HVP") else ():
            _fill(request.tangents[name], type_)
        for name, type_ in (dict([output]) if of == "JVP" else types).items():
            _fill(request.claimed[name], type_)

    return change


def _fill(tensor: Any, type_: TensorType, points: tuple[int, ...] = ()) -> None:
    tensor.CopyFrom(encode_tensor(np.full((*points, *type_.lengths), 0.5, type_.element_type.dtype)))


ANSWERED: Mapping[str, tuple[str, Change]] = MappingProxyType(
    {
        "inspection": ("Inspect", _nothing),
        "series": ("TaylorModel", _with(order=5)),
        "long series": ("TaylorModel", _with(order=10)),
        "gradient": ("Gradient", _optional(count_kinks=True)),
        "gradient that resolves kinks": ("Gradient", _optional(kinks=execution_pb2.AT_KINKS_RESOLVE)),
        "product that refuses kinks": ("Hvp", _optional(kinks=execution_pb2.AT_KINKS_REFUSE)),
        "product that resolves kinks": ("Hvp", _optional(kinks=execution_pb2.AT_KINKS_RESOLVE)),
        "gradients of a batch": ("Gradient", _batched),
        "products along a batch": ("Hvp", _batched),
        "Hessian of a batch": ("Hessian", _batched),
        "Jacobian": ("Jacobian", _nothing),
        "rounded product": ("Hvp", _optional(transport=execution_pb2.TRANSPORT_FLOAT32)),
        "verification": ("VerifyGradient", _nothing),
        "thorough verification": ("VerifyGradient", _with(order=2, thorough=True)),
        "verification on kinks": ("VerifyGradient", _optional(kinks=execution_pb2.AT_KINKS_RESOLVE)),
        **{f"claimed {of}": ("VerifyGradient", _claiming(of)) for of in ("JVP", "HVP", "JACOBIAN", "DIAGONAL")},
        "symmetry": ("VerifySymmetry", _nothing),
        "trace": ("EstimateTrace", _with(diagonal=True)),
        "gradient of a trace": ("EstimateTrace", _with(gradient=True)),
        "diagonal": ("EstimateDiagonal", _nothing),
        "estimated gradient": ("EstimateGradient", _nothing),
        "spectrum": ("EstimateSpectrum", _nothing),
        "spectrum of squares": ("EstimateSpectrum", _with(matrix=matrix_pb2.MATRIX_GAUSS_NEWTON)),
        "gradient of a spectrum": ("EstimateSpectrum", _with(gradient=True)),
        "eigenpairs": ("TopEigenpairs", _with(count=1)),
        "solution": ("SolveHessian", _with(max_iterations=5)),
        "conditioned solution": ("SolveHessian", _with(max_iterations=5, preconditioner=2)),
    }
)
"""What is answered, by what it is called: the method, and what is changed of a plain request."""


def requests(graph: Graph) -> Iterator[tuple[str, str, list[bytes]]]:
    """What it is called, the method and the messages, of everything that may be asked about a graph."""
    for field in new_request("ExplainGraph").DESCRIPTOR.fields:
        for name, change in _explained(field.name):
            request = new_request("ExplainGraph")
            asked_of(getattr(request, field.name), graph, Plain())
            change(getattr(request, field.name), graph)
            yield f"explained {name}", "ExplainGraph", [request.SerializeToString()]
    for name, (method, change) in ANSWERED.items():
        request = new_request(method)
        asked_of(request, graph, Plain())
        change(request, graph)
        yield name, method, [request.SerializeToString()]
    for method in ("RegisterGraph", "CheckGraph"):
        request = new_request(method)
        request.graph.CopyFrom(encode_graph(graph))
        yield method, method, [request.SerializeToString()]
    yield "stream", "StreamGradient", _stream(graph)


def _explained(field: str) -> Iterator[tuple[str, Change]]:
    """The ways to explain a question, by what each is called."""
    yield field, _nothing
    if field in ("gradient", "hvp"):
        yield from ((f"{field} by {executor}", _optional(executor=executor)) for executor in ("fused", "xla"))
    if field == "jacobian":
        yield from ((f"{field} {mode}", _with(mode=mode)) for mode in (1, 2))


def _stream(graph: Graph) -> list[bytes]:
    """A stream of gradients at one point, and at two at once."""
    first = new_request("StreamGradient")
    asked_of(first, graph, Plain())
    messages, given = [first], [*first.call.arguments]
    for count in (1, 2):
        request = new_request("StreamGradient")
        request.id, request.points = count, count if count > 1 else 0
        for name in given:
            _fill(request.arguments[name], graph.input_types[name], (count,) if count > 1 else ())
        messages.append(request)
    first.call.ClearField("arguments")
    return [message.SerializeToString() for message in messages]


def answered(method: str, messages: list[bytes]) -> str:
    """How a call ends."""
    outcome = Outcome()
    with suppress(Ended):
        House(_MOST_ANSWERS).meet(method, messages, outcome)
    last = list(outcome.stages.values())[-1]
    return f"FAULT {outcome.faults}"[:300] if outcome.faults else ("" if last == "fine" else last)


class Running:
    """Seconds of a processor in which programs run, as long as they are asked to: that is no work of planning."""

    seconds = 0.0

    @classmethod
    def measured(cls) -> None:
        """Counts from now on."""
        call = NumpyPrepared.__call__

        @functools.wraps(call)
        def timed(*given: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*given, **named)
            finally:
                cls.seconds += time.thread_time() - started

        NumpyPrepared.__call__ = timed  # type: ignore[method-assign]


def alone(work: Callable[[], str]) -> tuple[float, int, str]:
    """Seconds of a processor without those of programs, and bytes, that work takes in a process; how it ends."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        _map_compiler()
        Path("/proc/self/clear_refs").write_text("5")
        before, started = _bytes("VmRSS"), time.process_time()
        try:
            ended = work()
        except BaseException as error:
            ended = f"FAULT {type(error).__name__}: {error}"[:200]
        told: Any = [time.process_time() - started - Running.seconds, _bytes("VmHWM") - before, ended]
        os.write(theirs, json.dumps(told).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        read = pipe.read()
    os.waitpid(child, 0)
    seconds, grown, ended = json.loads(read) if read else (0.0, 0, "FAULT the process ended")
    return float(seconds), int(grown), str(ended)


def _map_compiler() -> None:
    """Maps the pages of LLVM that are in memory, which no process has that is forked.

    A service maps them for its first machine code, which may be made in the background of any request: they are no
    memory of that request.
    """
    advise = ctypes.CDLL(None, use_errno=True).madvise
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libllvmlite" in line:
            first, last = (int(address, 16) for address in line.split()[0].split("-"))
            advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_POPULATE_READ)


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
