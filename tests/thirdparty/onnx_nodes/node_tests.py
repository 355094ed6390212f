"""ONNX's own tests of its operators, over our importer; `python -m tests.thirdparty.onnx_nodes.node_tests` runs all."""

from __future__ import annotations

import collections
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from gradserve.client import Client
from gradserve.client.importers.models import ImportedModel
from gradserve.client.importers.naming import parameter_names
from gradserve.client.importers.onnx import from_onnx
from gradserve.client.importers.onnx.table import TRANSLATORS
from gradserve.ir.errors import GradserveError

FOLDER = Path(__file__).parent
HALF = ("float16", "bfloat16")


def load() -> dict[str, Any]:
    """All tests by name, about as many as the package has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_model_tests(kind="node")}


def listed() -> dict[str, str]:
    """What is not supported, and why."""
    reasons = tomllib.loads((FOLDER / "not_supported.toml").read_text(encoding="utf-8"))["reason"]
    return {name: reason["why"] for reason in reasons for name in reason["tests"]}


def imports(model: ModelProto, arrays: dict[str, Any], **options: Any) -> ImportedModel:
    """The model, with those inputs as constants that operators must know; if these are computed, with all integers."""
    static = {
        node.input[k]
        for node in model.graph.node
        if node.op_type in TRANSLATORS
        for k in TRANSLATORS[node.op_type].known
        if k < len(node.input) and node.input[k] in arrays
    }
    whole = {name for name, array in arrays.items() if isinstance(array, np.ndarray) and array.dtype.kind in "iub"}
    shapes = {
        name: array.shape if isinstance(array, np.ndarray) else [each.shape for each in array]
        for name, array in arrays.items()
    }
    optional = {each.name for each in model.graph.input if each.type.HasField("optional_type")}
    absent = dict.fromkeys(optional - set(arrays))
    try:
        known = absent | {name: arrays[name] for name in static}
        return from_onnx(model, known=known, shapes=shapes, **options)
    except GradserveError:
        known = absent | {name: arrays[name] for name in static | whole}
        return from_onnx(model, known=known, shapes=shapes, **options)


def outputs(client: Client, case: Any, given: list[Any]) -> list[np.ndarray]:
    """What our numpy executor makes of a test's inputs, in the order of the model's outputs."""
    arrays = named(case, given)
    made = imports(case.model, arrays)
    function = client.load(made)
    function.executor = "numpy"
    held = made.graph.input_types
    plain = parameter_names([each.name for each in case.model.graph.input], ("initialisers",))
    point = {plain[name]: each for name, each in arrays.items()}
    arguments = [
        [narrowed(each, held[f"{name}.{k}"]) for k, each in enumerate(point[name])]
        if isinstance(point[name], list)
        else narrowed(point[name], held[name])
        for name in function.parameters
        if name in point
    ]
    result = function(*arguments)
    found = result if isinstance(result, dict) else {"": result}
    return [np.asarray(array) for array in found.values()]


def named(case: Any, given: list[Any]) -> dict[str, Any]:
    """The inputs of a test by name."""
    names = [each.name for each in case.model.graph.input]
    arrays = [numpy_helper.to_array(each) if isinstance(each, TensorProto) else each for each in given]
    pairs = zip(names, arrays, strict=True)
    return {
        name: array if isinstance(array, list) else np.asarray(array)
        for name, array in pairs
        if isinstance(array, np.ndarray | np.generic | list)
    }


def narrowed(array: np.ndarray, type_: Any) -> np.ndarray:
    """The array in the elements that the graph holds it in."""
    return np.asarray(array).astype(type_.element_type.dtype)


def failure(client: Client, case: Any) -> str:
    """Why a test does not pass; empty if it does."""
    try:
        for given, expected in case.data_sets:
            each_wanted = [each for one in expected for each in (one if isinstance(one, list) else [one])]
            for found, wanted in zip(outputs(client, case, list(given)), each_wanted, strict=True):
                wide = numpy_helper.to_array(wanted) if isinstance(wanted, TensorProto) else np.asarray(wanted)
                loose = str(wide.dtype) in HALF
                assert found.shape == wide.shape, f"{found.shape} is not {wide.shape}"
                assert found.dtype.kind == ("f" if loose else wide.dtype.kind).replace("u", "i"), f"{found.dtype}"
                np.testing.assert_allclose(
                    found.astype(np.float64),
                    wide.astype(np.float64),
                    rtol=max(case.rtol, 1e-2 if loose else 0),
                    atol=max(case.atol, 1e-3 if loose else 0),
                )
    except GradserveError as error:
        return str(error)
    except AssertionError as error:
        return f"WRONG {' '.join(str(error).split())[:150]}"
    except Exception as error:  # what else goes wrong is counted, and fails the tests
        return f"CRASH {type(error).__name__}: {error}"
    return ""


def gradient_failure(client: Client, case: Any) -> str:
    """Why the gradient of a weighted sum of a test's outputs is not that of central differences; empty if it is."""
    try:
        arrays = named(case, list(case.data_sets[0][0]))
        made = imports(case.model, arrays, dtype="float64")
        function = client.load(made)
        function.executor = "numpy"
        types, rng = made.graph.input_types, np.random.default_rng(7)
        plain = parameter_names(arrays, ("initialisers",))
        point = {plain[n]: narrowed(a, types[plain[n]]) for n, a in arrays.items() if plain[n] in types}
        real = [name for name, type_ in types.items() if type_.is_float]
        direction = {name: rng.normal(size=point[name].shape) for name in real}
        result = function(*point.values())
        found = result if isinstance(result, dict) else {"": result}
        weights = {k: rng.normal(size=np.shape(v)) * (np.asarray(v).dtype.kind == "f") for k, v in found.items()}
        assert real, "nothing to differentiate"
        assert any(w.any() for w in weights.values()), "no real output"

        def weighted(step: float) -> float:
            moved = [a + step * direction[n] if n in direction else a for n, a in point.items()]
            made = function(*moved)
            return float(
                sum(np.vdot(weights[k], v) for k, v in (made if isinstance(made, dict) else {"": made}).items())
            )

        cotangent = weights if isinstance(result, dict) else weights[""]
        if isinstance(result, dict):
            cotangent = {k: (w if np.asarray(found[k]).dtype.kind == "f" else None) for k, w in weights.items()}
        _, pulled = function.vjp(*point.values(), cotangent=cotangent, wrt=real)
        gradient = {real[0]: pulled} if len(real) == 1 else pulled
        along = sum(np.vdot(gradient[name], direction[name]) for name in real)
        coarse, fine = ((weighted(h) - weighted(-h)) / (2 * h) for h in (2e-5, 1e-5))
        np.testing.assert_allclose(along, (4 * fine - coarse) / 3, rtol=2e-6, atol=2e-7)
    except GradserveError as error:
        return str(error)
    except AssertionError as error:
        return f"WRONG {' '.join(str(error).split())[:150]}"
    except Exception as error:  # what else goes wrong is counted, and fails the tests
        return f"CRASH {type(error).__name__}: {error}"
    return ""


def main() -> None:
    """Counts what passes, and says why the rest does not."""
    cases = load()
    with Client() as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        look = gradient_failure if "--gradients" in sys.argv else failure
        failures = {name: look(client, case) for name, case in cases.items()}
    reasons = {name: why for name, why in failures.items() if why}
    pattern = sys.argv[-1].removeprefix("--gradients") if len(sys.argv) > 1 else ""
    for name, why in sorted(reasons.items()):
        if pattern in name or pattern in why:
            print(f"{name}: {why[:230]}")
    print(collections.Counter(why.split(" ")[0] for why in reasons.values()).most_common(20))
    print(f"{len(cases) - len(reasons)} of {len(cases)} pass")


if __name__ == "__main__":
    main()
