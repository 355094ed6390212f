"""Right gradients pass: many random losses, none refused, none doubted."""

from collections import Counter

import numpy as np
import pytest

from gradserve.ops import builder
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.verdicts import Verdict
from gradserve.verification.directions import scales
from tests.jobs.support import differentiated, product, real, total, verified

pytestmark = pytest.mark.slow

LOSSES = 80
SMOOTH = [
    lambda g, v: g.sin(v),
    lambda g, v: g.tanh(v),
    lambda g, v: g.logistic(v),
    lambda g, v: g.sqrt(v * v + 1.0),
    lambda g, v: g.log1p(v * v),
    lambda g, v: g.exp(g.sin(v)),
    lambda g, v: v / (v * v + 1.0),
    lambda g, v: g.erf(v),
    lambda g, v: g.atan(v),
    lambda g, v: g.logaddexp(v, -v),
    lambda g, v: g.cos(v) * v,
]


def random_loss(seed):
    """A graph of 1 to 4 inputs with 1 to 1000 entries together, and arguments of sizes from 0.01 to 100."""
    rng = np.random.default_rng(seed)
    n = int(10 ** rng.uniform(0, 3))
    count = min(n, int(rng.integers(1, 5)))
    cuts = sorted(rng.choice(np.arange(1, n), count - 1, replace=False)) if count > 1 else []
    g = builder()
    arguments, parts = {}, []
    for k, size in enumerate(int(s) for s in np.diff([0, *cuts, n])):
        scale = 10 ** rng.uniform(-2, 2)
        x = g.input(f"x{k}", real(size))
        arguments[f"x{k}"] = rng.standard_normal(size) * scale
        v = x * (rng.uniform(0.3, 2) / scale)
        for _ in range(rng.integers(1, 4)):
            v = SMOOTH[rng.integers(len(SMOOTH))](g, v)
            if rng.random() < 0.5:
                v = v * g.constant(rng.standard_normal(v.shape)) + g.constant(rng.standard_normal(v.shape))
            if rng.random() < 0.4 and v.shape[0] <= 400:
                rows = int(rng.integers(1, v.shape[0] + 1))
                mixing = rng.standard_normal((rows, v.shape[0])) / np.sqrt(v.shape[0])
                v = product(g, g.constant(mixing), v)
        parts.append(total(g, v) * (10 ** rng.uniform(-1, 1) / (v.shape[0] if rng.random() < 0.5 else 1)))
    loss = parts[0]
    for part in parts[1:]:
        loss = loss + part if rng.random() < 0.5 else loss * g.sin(part) + part
    return g.build({"loss": loss}), arguments


def gradient(context, graph, arguments):
    wrt = tuple(arguments)
    found = differentiated(context, Call(graph, arguments), Gradient(wrt)).arrays
    return float(found["value"]["loss"]), {name: found["gradient"][name].copy() for name in wrt}


def is_resolvable(context, graph, arguments):
    """Whether every input has a derivative that is not next to nothing beside the loss: none is below 1e-8 of it."""
    loss, slopes = gradient(context, graph, arguments)
    sizes = [np.linalg.norm(slope * scales(arguments[name])) for name, slope in slopes.items()]
    return min(sizes) > 1e-8 * (1 + abs(loss))


def test_right_gradients_pass(context):
    verdicts: Counter[Verdict] = Counter()
    hidden: Counter[Verdict] = Counter()
    seed = 0
    while verdicts.total() < LOSSES:
        graph, arguments = random_loss(seed)
        counter = verdicts if is_resolvable(context, graph, arguments) else hidden
        counter[verified(context, graph, arguments, seed=seed).verdict] += 1
        seed += 1
    assert verdicts == {Verdict.AGREES: LOSSES}
    assert set(hidden) <= {Verdict.AGREES, Verdict.INCONCLUSIVE}
    assert hidden.total() < LOSSES // 10


def test_the_same_losses_with_one_entry_off_by_a_thousandth_do_not(context):
    """The planted fault, in the largest entry of all."""
    for seed in range(20):
        graph, arguments = random_loss(seed)
        _, claimed = gradient(context, graph, arguments)
        name = max(claimed, key=lambda key: np.abs(claimed[key]).max())
        position = int(np.argmax(np.abs(claimed[name])))
        claimed[name][position] *= 1.001
        report = verified(context, graph, arguments, claimed=claimed, directions=1)
        assert report.verdict is Verdict.DISAGREES
        assert [(entry.input, entry.index) for entry in report.entries] == [(name, (position,))]
