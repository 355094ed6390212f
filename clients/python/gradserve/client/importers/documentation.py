"""The documentation of importers, of their own tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from gradserve.client.importers.jaxprs import authors, joins, randomness, rules, systems  # noqa: F401  (which enter their rules)
from gradserve.client.importers.jaxprs.known import KNOWN
from gradserve.client.importers.jaxprs.primitives import ARRAYS
from gradserve.client.importers.jaxprs.reading import RULES
from gradserve.client.importers.jaxprs.refused import WAYS_ROUND
from gradserve.client.importers.stablehlo.calls import CALLS
from gradserve.client.importers.stablehlo.folds import FOLDS
from gradserve.client.importers.stablehlo.operations import ARRAYS as OPERATIONS
from gradserve.client.importers.stablehlo.reflections import FACTORISATIONS, PRODUCTS
from gradserve.client.importers.stablehlo.refused import WAYS_ROUND as WAYS_ROUND_OF_TEXT

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
  Narrow and unsigned integers are computed exactly in wider ones. bfloat16 and float16 are
  computed as float32, which `notes` tell: less is rounded. A result of uint64 is given as int64 of the same bits.
- **Complex numbers** and Fourier transforms are those of [NumPy's functions](NUMPY.md#complex-numbers), whose
  gradients are JAX's: df/dx - i df/dy in z = x + iy. Where JAX says that z / |z| has no derivative (`lax.sign`), here
  it has its own. Singular vectors of complex matrices are refused, as their phases are any.
- **Random numbers** by keys of threefry, JAX's default, are the same to the bit. A key is data: import with the key,
  or with `jax.random.key_data(key)`, as an example, and give `jax.random.key_data(key)` at each call.
- **Loops**: `scan` and loops over a known number of steps are loops of the graph. Of other `while` loops the graph
  needs to know a bound, `most=100`, but for those within JAX's own functions; one that would go on is refused when it
  runs. They are differentiated in reverse mode as well.
- **Functions with derivatives of their own**, by `jax.custom_jvp` or `jax.custom_vjp`, keep them in both modes: up to
  the third order, and beyond it those of what they compute. Second derivatives are those of the rule, in which the
  result moves as the rule says; JAX has those of what the rule gives as the result, where that is not the function
  itself. A rule that is not linear in tangents or cotangents, as one that clips them, is no derivative: such a
  function is imported as what it computes. `from_jax(...).notes` tells of all this by name. Of JAX's own functions,
  some are ours by another name, with derivatives that are right everywhere: {known}.
- **Sparse arrays** (`jax.experimental.sparse`: BCOO, BCSR, COO, CSR) are gathers and sums of their elements, as JAX has
  them on processors.
- **Linear systems** (`jnp.linalg.solve`, `inv`, `cg`) are solved by their matrix, and differentiated to any order.
- **LU factors** are those of the matrix with the rows exchanged as they were: exchanges have no derivatives.
- **Reductions by functions** of one's own (`lax.reduce`, `lax.reduce_window`) join elements in pairs, as a tree: the
  functions must be associative.
- **NaN** is behind all numbers in sorts and before all in `top_k`, whatever its sign.
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

`from_stablehlo(source, most=None, names=(), shapes=None, known=None)` reads the text of a program, MLIR's generic form
or the shorter one, by a parser of its own: neither JAX nor MLIR need be installed. Calls of functions are put in their
places. Parameters are called `arg0`, `arg1`, ... in their order if they have no names of their own. Lengths that a
program leaves open, as where JAX exports symbolic ones, are told by `shapes={{"arg0": (8, 3)}}`, and those that are
parameters by `known={{"arg0": 8}}`; what is computed of them must come to known lengths. Text that is damaged or
hostile is refused: brackets deeper than 64, arrays of more than 2^40 elements, programs of more operations than a
graph may have nodes. The binary form that `Exported.serialize` gives holds MLIR's bytecode, which is not read: take
`exported.mlir_module()`.

Operations, of `stablehlo` and of `chlo`:

{operations}

Calls of other functions:

{calls}

By these, what JAX writes for processors comes in by its text alone: solutions, inverses, determinants, LU and
Cholesky factors, QR, eigenvalues and singular values, with their derivatives. Reflections that `geqrf` leaves below R
are read by `orgqr` and `ungqr` only, and refused to all else. L and U are made row by row, in a loop: large systems
are solved faster if `from_jax` imports them (the gradient of one of 128 unknowns takes 75 ms, and there 0.2 ms).

**Derivatives are those of what is written**, and some of what JAX knows is not:

- `stop_gradient` and derivatives by `jax.custom_jvp` or `jax.custom_vjp` leave nothing in a program. Import such
  functions by `from_jax`, which knows the former and notes the latter.
- A determinant of more than three rows is written by its pivots. Where one is zero, L and U have no derivatives, and
  they are refused by `NumericalFailure`; `from_jax` knows determinants themselves, and their derivatives there.

| not imported | instead |
| --- | --- |
{ways}

f16 and bf16 are computed as f32, and a result of ui64 is given as i64 of the same bits; `notes` tell of both.

Refused by name are also real numbers of 8 bits, bits of those of 16, lengths that are computed, scatters by
functions of their own, sorts by anything but the operands themselves, and calls of other functions.

Of the self-checking programs in StableHLO's repository (`stablehlo/testdata`, with the results that JAX's tests want),
at version 1.20.0:

| elements | agree | of |
| --- | --- | --- |
{counts}

Of the two of f32 and f64 that do not, one is a convolution whose sums in another order differ by less than 1e-4, and
one sorts NaN by their signs; of the integers, two draw by other generators than threefry and one scatters truth values
by a function. Of f16 and bf16, which are computed as f32, those that do not are rounded less than what they are
compared with, or ask for their bits. `python -m tests.thirdparty.stablehlo_programs.self_checking FOLDER` counts them
anew. Of the 388 whose lengths are open, which bring no results to compare with, 378 are imported for lengths that are
told.
"""


_COUNTS = (
    ("f32, f64", 524, 526),
    ("complex64, complex128", 180, 180),
    ("integers and truth values", 1224, 1227),
    ("f16, bf16", 209, 392),
)
"""As they were measured: elements, programs that agree, and all with known lengths."""


def documentation() -> str:
    """The text of docs/IMPORTERS.md."""
    return _HEAD.format(
        known=", ".join(f"`{name.lstrip('_')}`" for name in sorted(KNOWN)),
        arrays=_listed(ARRAYS),
        rules=_listed(RULES),
        refused=_ways(WAYS_ROUND),
        operations=_listed(
            [*OPERATIONS, *FOLDS, "constant", "call", "composite", "while", "case", "if", "custom_call"]
        ),
        ways=_ways(WAYS_ROUND_OF_TEXT),
        counts="\n".join(f"| {elements} | {agree} | {count} |" for elements, agree, count in _COUNTS),
        calls=_listed([*CALLS, *FACTORISATIONS, *PRODUCTS]),
    )


def _ways(round_: Mapping[str, str]) -> str:
    """Rows of a table: the names that have one way round, and the way."""
    ways = dict.fromkeys(round_[name] for name in sorted(round_))
    return "\n".join(
        f"| {', '.join(f'`{name}`' for name in sorted(round_) if round_[name] == instead)} | {instead} |"
        for instead in ways
    )


def _listed(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(f"`{name}`" for name in sorted(names)), 120, break_on_hyphens=False)
