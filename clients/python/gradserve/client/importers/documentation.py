"""The documentation of importers, of their own tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from gradserve.client.importers.jaxprs import randomness, rules, systems  # noqa: F401  (which enter their rules)
from gradserve.client.importers.jaxprs.known import KNOWN
from gradserve.client.importers.jaxprs.primitives import ARRAYS
from gradserve.client.importers.jaxprs.reading import RULES
from gradserve.client.importers.jaxprs.refused import WAYS_ROUND
from gradserve.client.importers.stablehlo.calls import CALLS
from gradserve.client.importers.stablehlo.operations import ARRAYS as OPERATIONS

_HEAD = """# Importing functions

Written by `python -m gradserve.client.importers`.

A function that is not NumPy code is imported once and is then one like any other: `client.load` takes what an
importer makes, and the result gives gradients, Hessians and verification, here or from a service, and is saved to a
file.

```python
from gradserve.client import Client
from gradserve.client.importers import from_jax, from_stablehlo

with Client("localhost:50051") as client:
    f = client.load(from_jax(loss, w))             # a JAX function and examples of its parameters
    value, grad = f.value_and_grad(w)
    f = client.load(from_stablehlo(exported))      # what jax.export made, its text, or the Path of a .mlir file
```

On the command line, `gradserve import loss.mlir -o loss.pb --name w` makes a graph file of a program's text.

PyTorch's functions and modules are imported by `from_torch`, which has [a page of its own](TORCH.md), as
[ONNX](ONNX.md) has.

What a graph cannot say is refused by `Untraceable`: the primitive or operation, the types it is applied to, your
line, and a way round. What nothing needs, such as a factorisation whose result is thrown away, is not refused.

## JAX

`from_jax(function, *examples, most=None)` needs `pip install 'gradserve[jax]'`. JAX traces the function; each
equation of its jaxpr becomes nodes with your line as their origin.

- **Parameters** keep their names and trees: dicts, lists, tuples and dataclasses of arrays.
- **Types** are those that JAX gives, so derivatives are float64 where `jax_enable_x64` is on, and float32 otherwise.
  Narrow and unsigned integers are computed exactly in wider ones. bfloat16, float16 and complex numbers are refused
  by name.
- **Random numbers** by keys of threefry, JAX's default, are the same to the bit. A key is data: import with the key,
  or with `jax.random.key_data(key)`, as an example, and give `jax.random.key_data(key)` at each call.
- **Loops**: `scan` and loops over a known number of steps are loops of the graph. Of other `while` loops the graph
  needs to know a bound, `most=100`; a loop that would go on is refused when it runs. They are differentiated in
  reverse mode as well.
- **Functions with derivatives of their own**, by `jax.custom_jvp` or `jax.custom_vjp`, are imported as what they
  compute, and the derivative is that of what they compute. `from_jax(...).notes` names them. Of JAX's own,
  some are ours by another name, with derivatives that are right everywhere: {known}.
- **Linear systems** (`jnp.linalg.solve`, `inv`, `cg`) are solved by their matrix, and differentiated to any order.
- **Singular systems** and Cholesky factors of matrices that have none are refused by `NumericalFailure`, where JAX
  gives NaN.
- **Callbacks for printing** are left away.
- **Gathers** take windows outside of the array as XLA does; of **scatters** to equal positions the last one counts.

Primitives of arrays:

{arrays}

Primitives that call functions, or draw random numbers:

{rules}

| not imported | instead |
| --- | --- |
{refused}

## StableHLO

`from_stablehlo(source, most=None, names=())` reads the text of a program, MLIR's generic form or the shorter one, by
a parser of its own: neither JAX nor MLIR need be installed. Calls of functions are put in their places; shapes must
be known. Text that is damaged or hostile is refused: brackets deeper than 64, arrays of more than 2^40 elements,
programs of more operations than a graph may have nodes. The binary form that `Exported.serialize` gives holds MLIR's
bytecode, which is not read: take `exported.mlir_module()`.

Operations, of `stablehlo` and of `chlo`:

{operations}

Calls of other functions:

{calls}

JAX writes solutions of general linear systems, determinants and QR for processors as calls of LAPACK's `getrf` and
`geqrf`, whose factors are no functions of a matrix that have derivatives by themselves: `from_jax` imports these
functions.
"""


def documentation() -> str:
    """The text of docs/IMPORTERS.md."""
    return _HEAD.format(
        known=", ".join(f"`{name.lstrip('_')}`" for name in sorted(KNOWN.keys() - {"_frexp"})),
        arrays=_listed(ARRAYS),
        rules=_listed(RULES),
        refused="\n".join(f"| `{name}` | {instead} |" for name, instead in sorted(WAYS_ROUND.items())),
        operations=_listed([*OPERATIONS, "constant", "call", "while", "case", "if", "custom_call"]),
        calls=_listed(CALLS),
    )


def _listed(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(f"`{name}`" for name in sorted(names)), 120, break_on_hyphens=False)
