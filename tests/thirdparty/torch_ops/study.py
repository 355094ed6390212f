"""The sample inputs of torch's own tests of its operators (OpInfo), brought here and compared in value and gradient.

By hand, where torch and expecttest are installed:

    python -m tests.thirdparty.torch_ops.study [--skip N] [--most N] [--of OP ...] [--shard K/N] [--out FILE]
        [--keep FOLDER]
    python -m tests.thirdparty.torch_ops.study --summary FILE ... > docs/TORCH_SAMPLES.md

Every sample of float64 on the processor becomes an exported program in core ATen, with all of its tensors as
arguments. Compared are all outputs, and the gradient of a random linear functional of those that torch differentiates.
"""

from __future__ import annotations

import argparse
import collections
import functools
import io
import itertools
import json
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._export import utils
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from gradserve.client import Client
from gradserve.client.importers import from_torch
from gradserve.client.importers.aten.exporting import archive_of
from gradserve.client.importers.aten.model import RANDOM_KEY
from gradserve.ir.errors import GradserveError

RTOL, ATOL = 1e-7, 1e-9
MOST_BYTES = 6000
"""Of the numbers beside a program that is kept."""
# Which operators torch would decompose does not change from program to program, and finding them takes longest.
utils._collect_all_valid_cia_ops_for_namespace = functools.cache(utils._collect_all_valid_cia_ops_for_namespace)
PASSED, REFUSED, WRONG, CRASHED, FOREIGN, DRAWN = "passed", "refused", "WRONG", "CRASHED", "foreign", "drawn"
"""What becomes of a sample; foreign is what torch itself cannot export, and drawn what has other random numbers."""


def name_of(op: Any) -> str:
    """The name of an operator with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def operators(names: Sequence[str]) -> Iterator[Any]:
    """The operators that take float64, or those of these names."""
    for op in op_db:
        if op.supports_dtype(torch.float64, "cpu") and (not names or name_of(op) in names or op.name in names):
            yield op


def outcome(client: Client, op: Any, sample: Any, kept: Kept) -> tuple[str, str]:
    """What becomes of a sample, and why."""
    leaves, spec = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
    at = [k for k, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def function(*tensors: Any) -> Any:
        whole = list(leaves)
        for k, tensor in zip(at, tensors, strict=True):
            whole[k] = tensor
        given, args, kwargs = pytree.tree_unflatten(whole, spec)
        # Signs of vectors that nothing determines are taken away, as torch's own tests do.
        return pytree.tree_map(_of_reals, sample.output_process_fn_grad(op.op(given, *args, **kwargs)))

    # Each in memory of its own: what lies beside a view is no part of it.
    tensors = [leaves[k].detach().clone().requires_grad_(leaves[k].requires_grad) for k in at]
    try:
        results = pytree.tree_leaves(function(*tensors))
    except Exception as error:
        return FOREIGN, f"torch does not compute it alone: {error}"
    expected = [torch.as_tensor(x) for x in results if isinstance(x, torch.Tensor | float)]
    try:
        program = archive_of(function, [x.detach().clone() for x in tensors], {})
        made = from_torch(program)
    except GradserveError as error:
        return (FOREIGN if "torch.export cannot follow" in str(error) else REFUSED), str(error)
    except Exception as error:
        return CRASHED, f"{type(error).__name__}: {error}"
    if RANDOM_KEY in client.load(made).parameters:
        return DRAWN, "by a key"
    try:
        arrays: dict[str, Any] = {}
        found = _compared(client, made, tensors, expected, arrays)
        kept.add(name_of(op), program, arrays)
        return found
    except GradserveError as error:
        return REFUSED, str(error)
    except AssertionError as error:
        return WRONG, " ".join(str(error).split())[:240]
    except Exception as error:
        return CRASHED, f"{type(error).__name__}: {error}"


def _of_reals(x: Any) -> Any:
    """Complex numbers as pairs of reals, which a real functional is made of."""
    return torch.view_as_real(x.resolve_conj()) if isinstance(x, torch.Tensor) and x.is_complex() else x


def _nothing(x: Any) -> Any:
    """The cotangent of an output that torch does not differentiate."""
    return np.zeros(x.shape) if x.is_floating_point() else None


def _compared(
    client: Client, made: Any, tensors: Sequence[Any], expected: Sequence[Any], kept: dict[str, Any]
) -> tuple[str, str]:
    function = client.load(made)
    function.executor = "numpy"
    arrays = [x.detach().numpy().copy() for x in tensors]
    found = pytree.tree_leaves(function(*arrays))
    assert len(found) == len(expected), f"{len(found)} outputs, and {len(expected)} in torch"
    for ours, theirs in zip(found, expected, strict=True):
        wanted = theirs.detach().resolve_conj().resolve_neg().numpy(force=True)
        assert np.shape(ours) == wanted.shape, f"shape {np.shape(ours)}, and {wanted.shape} in torch"
        assert np.asarray(ours).dtype.kind == wanted.dtype.kind.replace("u", "i"), f"{np.asarray(ours).dtype}"
        np.testing.assert_allclose(ours, wanted, rtol=RTOL, atol=ATOL, err_msg="value")
    kept |= {f"argument:{k}": array for k, array in enumerate(arrays)}
    kept |= {f"output:{k}": each.detach().numpy(force=True) for k, each in enumerate(expected)}
    real = [k for k, x in enumerate(expected) if x.requires_grad and x.dtype == torch.float64]
    free = [k for k, x in enumerate(tensors) if x.requires_grad and x.dtype == torch.float64 and x.numel()]
    if not real or not free:
        return PASSED, "no gradient"
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=x.shape) if k in real else _nothing(x) for k, x in enumerate(expected)]
    scalar = sum((expected[k] * torch.as_tensor(weights[k])).sum() for k in real)
    wanted = torch.autograd.grad(scalar, [tensors[k] for k in free], allow_unused=True)
    leaves, structure = pytree.tree_flatten(function(*arrays))
    assert len(leaves) == len(weights)
    cotangent = pytree.tree_unflatten(weights, structure)
    names = [function.parameters[k] for k in free]
    pulled = function.vjp(*arrays, cotangent=cotangent, wrt=names)[1]
    gradients = [pulled] if len(names) == 1 else [pulled[name] for name in names]
    for name, ours, theirs in zip(names, gradients, wanted, strict=True):
        exact = np.zeros(np.shape(ours)) if theirs is None else theirs.numpy(force=True)
        np.testing.assert_allclose(ours, exact, rtol=1e-6, atol=1e-8, err_msg=f"gradient in {name}")
    kept |= {f"weights:{k}": weights[k] for k in real}
    kept |= {
        f"gradient:{k}": np.zeros(tensors[k].shape) if w is None else w.numpy(force=True)
        for k, w in zip(free, wanted, strict=True)
    }
    return PASSED, "gradient"


class Kept:
    """Small programs that pass, every operator of ATen in them in one, with torch's numbers beside them."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.seen: set[str] = set()

    def add(self, name: str, program: bytes, arrays: dict[str, Any]) -> None:
        """Writes the program down if one of its operators is in none so far."""
        if self.folder is None or not any(key.startswith("gradient") for key in arrays):
            return
        read = json.loads(zipfile.ZipFile(io.BytesIO(program)).read("archive/models/model.json"))
        targets = {node["target"] for node in read["graph_module"]["graph"]["nodes"]}
        size = sum(np.asarray(array).nbytes for array in arrays.values())
        if targets <= self.seen or size > MOST_BYTES:
            return
        self.seen |= targets
        np.savez(self.folder / f"{name}.npz", **arrays)
        (self.folder / f"{name}.pt2").write_bytes(program)


def main() -> None:
    """Runs the study, or puts the results of several together."""
    command = argparse.ArgumentParser()
    command.add_argument("--skip", type=int, default=0)
    command.add_argument("--most", type=int, default=1000)
    command.add_argument("--of", nargs="*", default=[])
    command.add_argument("--shard", default="0/1")
    command.add_argument("--out", type=Path)
    command.add_argument("--keep", type=Path)
    command.add_argument("--summary", nargs="*", type=Path)
    options = command.parse_args()
    if options.summary:
        summarise(options.summary)
        return
    warnings.simplefilter("ignore")
    shard, shards = map(int, options.shard.split("/"))
    out = options.out.open("w", encoding="utf-8") if options.out else sys.stdout
    kept = Kept(options.keep)
    with Client() as client:
        for op in itertools.islice(operators(options.of), shard, None, shards):
            torch.manual_seed(11)
            try:
                samples = op.sample_inputs("cpu", torch.float64, requires_grad=op.supports_autograd)
                chosen = list(itertools.islice(samples, options.skip, options.skip + options.most))
            except Exception as error:
                print(name_of(op), FOREIGN, f"no samples: {error}".splitlines()[0], sep="\t", file=out, flush=True)
                continue
            for sample in chosen:
                kind, why = outcome(client, op, sample, kept)
                print(name_of(op), kind, " ".join(why.split())[:300], sep="\t", file=out, flush=True)


_PAGE = """\
# PyTorch's own samples of its operators

Made by `python -m tests.thirdparty.torch_ops.study --summary FILE ...` of what the study wrote; do not edit.

The samples are those of torch {version}'s tests (OpInfo), in float64 on the processor, up to {most} of each operator.
Each is exported by torch.export with all of its tensors as arguments, brought to core ATen, and imported by
`from_torch`. It passes if all outputs agree to {rtol:g}, and the gradient of a random linear functional of those that
torch differentiates to 1e-6.

Of {total} samples {passed} pass, {gradients} of them with a gradient (the others have no argument or no result that is
differentiated, or no elements). {drawn} draw random numbers, which are imported, and are not those of torch.
{refused} are refused by a typed error, most of them because they have results whose shapes depend on numbers, or are
polynomials whose degrees are arrays; {foreign} cannot be exported by torch. {different} differ: in max_unpool several
elements are written to one place, and torch gives each of them a derivative, although the last one alone counts;
torch's Bessel functions have 6 right digits; its derivatives of as_strided_scatter are not those of differences, and
those of ctc_loss are of the scores before log_softmax; one matrix that pinv is to take for Hermitian is not; results
of half are not rounded to 16 bits here, and NumPy has no arrays of bfloat16 to compare with; and what new_empty and
its like leave as it lies in memory is 0 here.

"""


def summarise(files: Sequence[Path]) -> None:
    """The page of all samples that the study has written down, by operator."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    gradients = 0
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            name, kind, why = line.split("\t", 2)
            counts[name][kind] += 1
            gradients += (kind, why) == (PASSED, "gradient")
    total = sum(counts.values(), collections.Counter())
    different = total[WRONG] + total[CRASHED]
    told = {kind: total[kind] for kind in (PASSED, REFUSED, FOREIGN, DRAWN)} | {
        "gradients": gradients,
        "different": different,
    }
    most = max(own.total() for own in counts.values())
    print(_PAGE.format(version=torch.__version__, most=most, rtol=RTOL, total=total.total(), **told), end="")
    print("| operator | pass | drawn by a key | refused | cannot be exported | differ |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, own in sorted(counts.items()):
        row = (own[PASSED], own[DRAWN], own[REFUSED], own[FOREIGN], own[WRONG] + own[CRASHED])
        print(f"| `{name}` | {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
