"""Documentation of what becomes of ATen's operators, made from our table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradserve.client.importers.aten import operators  # noqa: F401  (which enters them in the table)
from gradserve.client.importers.aten.refused import ELSE, WAYS_ROUND
from gradserve.client.importers.aten.table import TRANSLATORS

_HEAD = """\
# Importing from PyTorch

Made by `python -m gradserve.client.importers.aten`; do not edit.

A function of tensors or a module is exported by `torch.export`, brought to core ATen, and read from what
`torch.export.save` writes of it. It is then a function like any other:

```python
from gradserve.client import Client
from gradserve.client.importers import from_torch

class Loss(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, labels):
        return torch.nn.functional.cross_entropy(self.network(x), labels)

with Client("localhost:50051") as client:
    f = client.load(from_torch(Loss(network).eval(), x, labels))
    value, gradient = f.value_and_grad(x, labels, wrt="parameters")   # gradient["network"]["0"]["weight"] ...
```

A program that was saved needs no torch to be read: `torch.export.save(program.run_decompositions(), "loss.pt2")`, then
`from_torch("loss.pt2")`, or `gradserve import loss.pt2 -o loss.pb --initialisers start.npz` on the command line.
Nothing in the file is unpickled. What of torch's own tests passes is told by [TORCH_SAMPLES.md](TORCH_SAMPLES.md).

- **Arguments** keep their names in `forward` and their trees: dicts, lists and tuples of tensors. Numbers and None
  among the examples are fixed as they are, which the result's `notes` say.
- **Parameters** of the module are one more argument, `parameters`: a tree by the names of the state dict, whose default
  is what the module holds. Buffers, parameters that do not require gradients, and tensors that a function captures are
  data; `wrt=["head.weight"]` chooses other ones.
- **Tied parameters**, one array by two names, are one parameter by the first of them, as `module.parameters()` has it.
- **Derivatives** at kinks are torch's: of `relu` 0 at 0, of equal largest elements the first (`max_pool2d`, `max.dim`)
  or equal shares (`amax`, `maximum`), of `clamp` 1 at its ends.
- **What is not differentiated** is not: what `detach` returns, and what is computed under `no_grad`. Core ATen has
  neither; a program that was saved tells it beside its nodes, which must not be stripped. `detach_` of what is
  computed, and functions with a `backward` of their own (`torch.autograd.Function`), are refused where the module is
  at hand; a saved program has lost both. What is written into an array under `no_grad` or through `x.detach()` leaves
  its derivative as it was, as in torch, if the module is imported itself; a saved program has lost that as well, and
  what is detached from arrays that are written into. Hooks of tensors (`register_hook`) are lost in torch.export.
- **Types** are those that torch gives: float32 unless the module and its arguments are float64. Reals of 16 bits are
  computed as float32, which `notes` tell: less is rounded. A result of uint64 is given as int64 of the same bits.
- **Complex numbers** and Fourier transforms are those of [NumPy's functions](NUMPY.md#complex-numbers). Gradients of
  real losses in z = x + iy are JAX's, df/dx - i df/dy: the conjugates of torch's.
- **Random numbers**, as those of dropout in training, are drawn by a key, one more argument, `random_key`: two words of
  uint32, as `np.array([0, step], np.uint32)`. The same key gives the same numbers, each point of a batch its own with
  `batch=("x", "random_key")`, and they are not those of torch's generators. `rsample` of gamma, beta, Dirichlet's
  and other distributions has derivatives, which move a number so that its probability stays. Within loops and choices
  draws are refused: give the numbers as an argument. Call `module.eval()` for a network without dropout.
- **Modes**: normalisation of batches in training mode is imported, and the running statistics stay as they are.
- **Derivatives within a loss**, by `torch.func` (`grad`, `jacrev`, `jvp`, `hessian`, `vmap` of them) or
  `torch.autograd.grad`, are written out as operators, and differentiated like all else: gradient penalties, steps of
  inner training, energies and equations with derivatives. Without `create_graph` they are not differentiated, as in
  torch. Attention is computed by its formula there. A program that was saved has them already.
- **Checks**: arguments of distributions are not validated, and what `gaussian_nll_loss` makes of a negative variance is
  NaN. What else looks at numbers while it is exported (`if x.sum() > 0`, `validate_args=True`) is refused.
- **Written otherwise**, as torch.export cannot follow them: `ctc_loss`, step by step, whose derivative is that of the
  logarithms that it is given (torch's is that of the scores before `log_softmax`, which must be there); `lstsq` of
  matrices of full rank, others being refused when they are run; `cov` and `corrcoef`; and `multilabel_margin_loss`,
  which torch brings to core ATen as another function: a program that was saved in core ATen holds that one.
- **Choices and loops** of the program itself (`torch.cond`, `while_loop` of known length, `scan`) become the graph's.
- **Writing** to equal places (`scatter`, `index_put`): the last one counts, and it alone has a derivative, where torch
  gives one to all of them.
- **Singular systems** and matrices that have no Cholesky factor are refused when they are run.

What is refused is named, with the node, its operands, your line and a way round.

Operators that have a translation, all overloads of a name unless one is told:
"""
_REFUSED = """
What is refused, and what to do instead:
"""


def documentation() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield from _table({name: _said(translate.__doc__) for name, translate in TRANSLATORS.items()})
    yield _REFUSED
    yield from _table({**WAYS_ROUND, "others": ELSE})


def _said(doc: str | None) -> str:
    return (doc or "As torch defines it.").partition("\n")[0].replace("|", "\\|")


def _table(said: Mapping[str, str]) -> Iterator[str]:
    yield "| operator | how |"
    yield "| --- | --- |"
    yield from (f"| `{name}` | {how} |" for name, how in sorted(said.items()))
