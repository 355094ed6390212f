"""A JAX function becomes a graph: traced by JAX on examples, and read equation by equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from gradserve.client.importers.imported import Imported
from gradserve.client.importers.jaxprs import authors, joins, randomness, rules, systems  # noqa: F401  (which enter their rules)
from gradserve.client.importers.jaxprs.operands import Known, Refused, flat, is_key, split, types_of
from gradserve.client.importers.jaxprs.reading import Reader
from gradserve.client.importers.lax.elements import BITS_OF_UINT64, Operand, held_type
from gradserve.client.tracing.parameters import Parameters
from gradserve.client.tracing.traced import RESULT, Traced
from gradserve.client.tracing.trees import Structure, flatten, paths, require_keys, unflatten
from gradserve.ir.errors import InvalidRequest, Untraceable
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder


def traced(
    function: Callable[..., Any], examples: Sequence[Any], named: Mapping[str, Any], most: int | None
) -> Imported:
    """The function as a graph; see `from_jax`."""
    parameters = Parameters(function)
    bound = parameters.bind(examples, named)
    require_keys(tuple(bound))
    inputs: dict[str, Structure] = {}
    leaves: list[tuple[str, Any]] = []
    for name, example in bound.items():
        found, inputs[name] = flatten(example, name)
        leaves += found
    outputs: list[Structure] = []

    def of_leaves(*arrays: Any) -> list[Any]:
        given = dict(zip([path for path, _ in leaves], arrays, strict=True))
        trees = {name: unflatten(s, [given[path] for path in paths(s, name)]) for name, s in inputs.items()}
        try:
            results, structure = flatten(parameters.call(trees), RESULT)
        except InvalidRequest as error:
            raise Untraceable(f"{parameters.name} returns something that is not made of arrays: {error}") from None
        outputs.append(structure)
        return [leaf for _, leaf in results]

    jaxpr = jax.make_jaxpr(of_leaves)(*(leaf for _, leaf in leaves))
    g, reader = Recorder(), Reader(most, authors.of_others)
    given = [_input(g, path, aval) for (path, _), aval in zip(leaves, jaxpr.in_avals, strict=True)]
    made = reader.closed(g, jaxpr, given)
    (structure,) = outputs
    named_outputs = dict(zip(paths(structure, RESULT), map(_value, made), strict=True))
    if not named_outputs:
        raise Untraceable(f"{parameters.name} returns no array; return what is to be computed")
    if any(operand.dtype == np.uint64 for operand in named_outputs.values()):
        reader.notes.append(BITS_OF_UINT64)
    graph = g.build({path: operand.value for path, operand in named_outputs.items()})
    return Imported(
        Traced(graph, inputs, structure), f"jax: {parameters.name}", parameters, tuple(dict.fromkeys(reader.notes))
    )


def _input(g: Recorder, path: str, aval: Any) -> Known:
    if is_key(aval):
        data = g.input(path, held_type(np.dtype(np.uint32), (*aval.shape, 2)))
        return split(g, Operand(data, np.dtype(np.uint32)))
    if aval.dtype == np.uint64:
        raise InvalidRequest(f"{path} is uint64, and no graph takes such an array; give int64 or uint32")
    try:
        ((type_, dtype),) = types_of(aval)
    except Unsupported as error:
        raise InvalidRequest(f"{path}: {error}") from None
    value = g.input(path, type_)
    return Operand(value, dtype)


def _value(result: Known) -> Operand:
    arrays = flat([result])
    if len(arrays) > 1 or isinstance(result, Refused):
        raise Untraceable("the function returns keys of random numbers; return jax.random.key_data of them")
    return arrays[0]
