"""A loss with a gradient penalty, and its derivatives by PyTorch: `python -m tests.clients.references.penalty`.

The critic of a Wasserstein GAN with the penalty of Gulrajani and others (2017): the gradient in the samples is
differentiated again (torch.autograd.grad with create_graph). Needs torch 2.13 on a CPU; writes penalty.json beside this
file. Numbers are cosines, so that nobody needs to store them.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES, NOISE, SIZE, WIDTH = 6, 3, 4, 5
WEIGHT = 10.0


def waves(number: int, *shape: int) -> np.ndarray:
    """Numbers between -1 and 1."""
    found: np.ndarray = np.cos(np.arange(np.prod(shape)) * 0.7 + number).reshape(shape)
    return found


PARAMETERS = {
    "critic": [waves(1, SIZE, WIDTH), waves(2, WIDTH), waves(3, WIDTH)],
    "generator": [waves(4, NOISE, SIZE), waves(5, SIZE)],
}
DATA = {"real": waves(6, SAMPLES, SIZE), "noise": waves(7, SAMPLES, NOISE), "shares": 0.5 + waves(8, SAMPLES, 1) / 2}


def loss(to: Any, gradient: Any, critic: Any, generator: Any, data: Any) -> Any:
    """The critic's loss in a library with tanh, sum, mean and sqrt; `gradient(f, x)` is that of a sum over samples."""
    a, b, c = critic
    w, v = generator
    fake = to.tanh(data["noise"] @ w + v)

    def score(x: Any) -> Any:
        return to.tanh(x @ a + b) @ c

    mixed = data["shares"] * data["real"] + (1.0 - data["shares"]) * fake
    slopes = gradient(lambda x: to.sum(score(x)), mixed)
    lengths = to.sqrt(to.sum(slopes * slopes, 1))
    return to.mean(score(fake)) - to.mean(score(data["real"])) + WEIGHT * to.mean((lengths - 1.0) ** 2)


def main() -> None:
    """Writes the loss, its gradient, and the Hessian times the parameters themselves."""
    torch: Any = importlib.import_module("torch")  # which nothing else here needs

    def tensors(tree: Any, **options: Any) -> Any:
        return torch.tensor(tree, dtype=torch.float64, **options)

    parameters = {k: [tensors(x, requires_grad=True) for x in xs] for k, xs in PARAMETERS.items()}
    data = {k: tensors(x) for k, x in DATA.items()}
    flat = [x for xs in parameters.values() for x in xs]

    def gradient(f: Any, x: Any) -> Any:
        return torch.autograd.grad(f(x), x, create_graph=True)[0]

    value = loss(torch, gradient, parameters["critic"], parameters["generator"], data)
    slopes = torch.autograd.grad(value, flat, create_graph=True)
    along = sum((s * x.detach()).sum() for s, x in zip(slopes, flat, strict=True))
    products = torch.autograd.grad(along, flat)
    found = {
        "torch": torch.__version__,
        "loss": value.item(),
        "gradient": [s.tolist() for s in slopes],
        "product": [s.tolist() for s in products],
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
