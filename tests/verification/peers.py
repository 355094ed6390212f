"""The checks of JAX and PyTorch, where they are installed, with the tolerances that they come with.

They check derivatives of their own functions, so each is given a function whose rule is the wrong gradient.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.verification.faults import Fault, Model

SLOW_CHECKS_UP_TO = 1000
"""Entries up to which a check that moves them one by one is run."""

Check = Callable[[Model, Fault], bool | None]


def installed() -> dict[str, Check]:
    """Every check there is, by name: whether it objects to a fault; None if it was not asked."""
    checks: dict[str, Check] = {}
    if importlib.util.find_spec("jax"):
        importlib.import_module("jax").config.update("jax_enable_x64", True)  # callbacks run on threads of their own
        checks["jax check_grads"] = jax_check
    if importlib.util.find_spec("torch"):
        checks |= {"torch gradcheck, fast": torch_check(True), "torch gradcheck": torch_check(False)}
    return checks


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
    # A fast check that fails moves every entry to say which one is wrong: 200,000 evaluations for 100,000 entries.
    module: Any = importlib.import_module("torch.autograd.gradcheck")
    module._run_slow_mode_and_get_error = lambda *_, **__: "it fails"

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
