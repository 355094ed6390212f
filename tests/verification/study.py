"""What a verification finds, and what it costs: `python -m tests.verification.study [trials]` prints the tables.

Beside ours stand the checks of JAX and PyTorch where they are installed, with the tolerances that they come with; as
they check derivatives of their own functions, each is given a function whose rule is the wrong gradient.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradserve.questions.verification import Verdict
from tests.verification.driver import Counted, verified
from tests.verification.faults import DELTAS, MODELS, Fault, Model, entry_faults, structural_faults

SIZES = (10, 1000, 100_000)
BUDGET = 60
NOISES = (0.0, 1e-12, 1e-9, 1e-6)
SLOW_CHECKS_UP_TO = 1000
"""Entries up to which a check that moves them one by one is run."""


@dataclass
class Tally:
    """What became of the faults of one kind."""

    faults: int = 0
    found: int = 0
    within_budget: int = 0
    input_named: int = 0
    entries: int = 0
    entry_named: int = 0
    within_extra: int = 0
    evaluations: list[int] = field(default_factory=list)
    others: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))


def told(model: Model, gradient: dict[str, np.ndarray], seed: int, noise: float = 0.0) -> Counted:
    """What we say of a gradient, with so much noise in the loss, relative to its value."""
    rng, size = np.random.default_rng(seed), abs(model.loss(model.point))

    def loss(vector: Any) -> float:
        return model.loss(model.unpack(vector)) + (noise * size * rng.standard_normal() if noise else 0.0)

    return verified(loss, model.pack(model.point), model.pack(gradient), model.shapes, seed=seed)


def faults_of(model: Model, seed: int) -> Iterator[Fault]:
    """All faults of a model that change the gradient."""
    every = [*(f for delta in DELTAS for f in entry_faults(model, delta, seed)), *structural_faults(model, seed)]
    right = model.pack(model.gradient)
    return (fault for fault in every if not np.array_equal(model.pack(fault.gradient), right))


def judged(tally: Tally, model: Model, fault: Fault, seed: int) -> None:
    """Enters what we say of a fault."""
    counted = told(model, fault.gradient, seed)
    report, spent = counted.report, counted.evaluations
    tally.faults += 1
    tally.entries += fault.entry is not None
    if report.verdict is not Verdict.DISAGREES:
        return
    tally.found += 1
    tally.evaluations.append(spent)
    tally.within_budget += counted.until_found <= BUDGET
    tally.input_named += [row.input for row in report.inputs if row.verdict is Verdict.DISAGREES] == [fault.input]
    if fault.entry is not None and [(e.input, e.index) for e in report.entries] == [(fault.input, fault.entry)]:
        tally.entry_named += 1
        tally.within_extra += spent - counted.until_found <= 4 * math.log2(model.size)


def power(n: int, trials: int, checks: dict[str, Callable[[Model, Fault], bool | None]]) -> dict[str, Tally]:
    """What is found of each kind of fault in models of about n entries."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for seed in range(trials):
        for make in MODELS:
            model = make(n, seed)
            for fault in faults_of(model, seed):
                tally = tallies[fault.kind]
                judged(tally, model, fault, seed)
                for name, check in checks.items():
                    found = check(model, fault)
                    if found is not None:
                        tally.others[name].append(found)
    return tallies


def false_alarms(trials: int, n: int = 100) -> dict[float, dict[str, int]]:
    """How often each verdict is given on right gradients, by the noise in the loss."""
    counts: dict[float, dict[str, int]] = {noise: defaultdict(int) for noise in NOISES}
    for seed in range(trials):
        for make in MODELS:
            model = make(n, seed)
            for noise in NOISES:
                counts[noise][told(model, model.gradient, seed, noise).report.verdict] += 1
    return counts


def jax_check(model: Model, fault: Fault) -> bool:
    """Whether `jax.test_util.check_grads` objects, with its own tolerances in double precision."""
    import jax
    from jax.test_util import check_grads

    def value(vector: Any) -> Any:
        shape = jax.ShapeDtypeStruct((), np.float64)
        return jax.pure_callback(lambda v: np.float64(model.loss(model.unpack(np.asarray(v)))), shape, vector)

    loss = jax.custom_vjp(value)
    wrong = model.pack(fault.gradient)
    loss.defvjp(lambda vector: (value(vector), None), lambda _, upstream: (upstream * wrong,))
    try:
        check_grads(loss, (model.pack(model.point),), order=1, modes=("rev",))
    except AssertionError:
        return True
    return False


def torch_check(fast: bool) -> Callable[[Model, Fault], bool | None]:
    """Whether `torch.autograd.gradcheck` objects."""
    torch = importlib.import_module("torch")

    def check(model: Model, fault: Fault) -> bool | None:
        if not fast and model.size > SLOW_CHECKS_UP_TO:
            return None

        class Loss(torch.autograd.Function):  # type: ignore[misc, name-defined]
            @staticmethod
            def forward(ctx: Any, vector: Any) -> Any:
                return vector.new_tensor(model.loss(model.unpack(vector.detach().numpy())))

            @staticmethod
            def backward(ctx: Any, upstream: Any) -> Any:
                return upstream * torch.from_numpy(model.pack(fault.gradient))

        point = torch.from_numpy(model.pack(model.point)).requires_grad_()
        return not torch.autograd.gradcheck(Loss.apply, (point,), fast_mode=fast, raise_exception=False)

    return check


def main() -> None:
    """Prints the tables."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    checks: dict[str, Callable[[Model, Fault], bool | None]] = {}
    if importlib.util.find_spec("jax"):
        importlib.import_module("jax").config.update("jax_enable_x64", True)  # callbacks run on threads of their own
        checks["jax"] = jax_check
    if importlib.util.find_spec("torch"):
        checks |= {"torch fast": torch_check(True), "torch slow": torch_check(False)}
    for n in SIZES:
        print(f"\nabout {n} entries; evaluations are a median; n/a: no single entry is wrong")
        names = ["found", f"within {BUDGET}", "input", "entry", "in 4 log2 n", "evaluations", *checks]
        print(f"{'fault':24}{'of':>6}" + "".join(f"{name:>13}" for name in names))
        for kind, t in power(n, max(1, trials // (10 if n > SLOW_CHECKS_UP_TO else 1)), checks).items():
            cells = [t.found, t.within_budget, t.input_named]
            shown = [f"{cell / t.faults:.1%}" for cell in cells]
            shown += [f"{cell / t.entries:.1%}" if t.entries else "n/a" for cell in (t.entry_named, t.within_extra)]
            shown.append(f"{np.median(t.evaluations):.0f}" if t.evaluations else "n/a")
            shown += [f"{np.mean(t.others[name]):.1%}" if t.others[name] else "n/a" for name in checks]
            print(f"{kind:24}{t.faults:>6}" + "".join(f"{cell:>13}" for cell in shown))
    print("\nright gradients, by the noise in the loss relative to its value")
    for noise, verdicts in false_alarms(10 * trials).items():
        print(f"{noise:8.0e}  " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))


if __name__ == "__main__":
    main()
