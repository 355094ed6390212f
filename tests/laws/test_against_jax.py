"""Values and derivatives of every differentiable op agree with JAX's, wherever both are smooth."""

import jax
import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.ops.manifest import entry
from gradserve.questions.derivations import Vjp
from tests.laws.jax_functions import ABSENT, FUNCTIONS, jax_has
from tests.laws.support import (
    OPS,
    arguments,
    complexified,
    cotangents,
    evaluate,
    from_to,
    graph_of,
    has_derivative,
    is_single,
    prefixed,
    real_inputs,
    some_at_a_time,
)
from tests.rows import each

pytestmark = pytest.mark.slow

DIFFERENTIABLE = [op for op in OPS if entry(op)["differentiable"] and op.name not in ABSENT]


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("ops", some_at_a_time(DIFFERENTIABLE), ids=from_to)
def test_pullback_agrees(ops):
    filled = [s for op in ops for s in [*op.samples(), *complexified(op)] if all(x.size for x in s.operands)]
    questions = [Question(s) for s in filled if s.differentiable and has_derivative(s) and jax_has(s.op)]
    pairs = zip(questions, pulled_back(questions), strict=True)
    each(((question.op.name, (question, answer)) for question, answer in pairs), lambda pair: agree(*pair))


def agree(question, answer):
    found, tolerance = question.found(), 1e-5 if question.is_single() else 1e-10
    for name, expected in answer.items():
        np.testing.assert_allclose(found[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)


class Question:
    """The pullback of one sample of an op."""

    def __init__(self, sample):
        self.op = sample.op
        self.graph, self.given, self.names = graph_of(sample), arguments(sample), real_inputs(sample)
        self.u = cotangents(self.graph)
        self.real = {name: self.given[name] for name in self.names}

    def is_single(self):
        return is_single([*self.given.values(), *self.u.values()])

    def found(self):
        return evaluate(derive(self.graph, Vjp(self.names)), self.given | prefixed("cotangent", self.u))

    def function(self, real):
        """JAX's, of the real operands; integer ones are indices and stay constants."""
        results = FUNCTIONS[self.op.name](self.op, *(self.given | real).values())
        return {f"y{k}": y for k, y in enumerate(results if isinstance(results, tuple) else (results,))}


def pulled_back(questions):
    """JAX's values and cotangents, under our names. All are compiled at once: each compilation costs a good deal."""

    @jax.jit
    def values_and_cotangents(given):
        pulled = [jax.vjp(question.function, real) for question, (real, _) in zip(questions, given, strict=True)]
        return [(values, back(u)[0]) for (values, back), (_, u) in zip(pulled, given, strict=True)]

    answers = values_and_cotangents([(question.real, question.u) for question in questions])
    return [prefixed("value", values) | prefixed("cotangent", pulled) for values, pulled in answers]


def test_every_differentiable_op_is_compared():
    assert set(FUNCTIONS) == {op.name for op in DIFFERENTIABLE}
