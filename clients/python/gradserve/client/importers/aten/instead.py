"""Functions of torch's own that torch.export cannot follow, or makes others of, written by operators that it can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.distributions import Dirichlet
from torch.nn import functional
from torch.nn.modules import batchnorm

_NEVER = -1e30
"""The logarithm of no probability, which is a number, as differences are taken of it."""


def _dirichlet(self: Any, sample_shape: Any = ()) -> Any:
    """Shares whose derivatives those who draw them know, where torch has a function with a `backward` of its own."""
    return torch._sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))


def _reduced(loss: Any, reduction: str) -> Any:
    return {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[reduction]()


def _ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """Minus the logarithm of the probability of all alignments, step by step; its derivative is that of log_probs."""
    scores = log_probs if log_probs.dim() == 3 else log_probs[:, None]
    count, known = scores.shape[1], _ints(target_lengths)
    times, lengths = (torch.as_tensor(x).reshape(-1).expand(count) for x in (input_lengths, target_lengths))
    labels = _padded(targets, lengths, count, max(known) if known else None)
    states = torch.full((count, 2 * labels.shape[1] + 1), blank, dtype=torch.long)
    states = torch.cat([torch.stack([states[:, 1::2], labels], -1).flatten(1), states[:, :1]], 1)
    skips = functional.pad(states[:, 2:] != states[:, :-2], (2, 0)) & (states != blank)
    first = torch.arange(states.shape[1]) < 2
    reached = torch.where(first, scores[0].gather(1, states), _NEVER)
    for step in range(1, scores.shape[0]):
        one, two = (functional.pad(reached, (k, 0), value=_NEVER)[:, : states.shape[1]] for k in (1, 2))
        ways = torch.stack([reached, one, torch.where(skips, two, _NEVER)])
        moved = ways.logsumexp(0) + scores[step].gather(1, states)
        reached = torch.where((step < times)[:, None], moved, reached)
    last = reached.gather(1, 2 * lengths[:, None])[:, 0]
    before = reached.gather(1, (2 * lengths - 1).clamp(min=0)[:, None])[:, 0]
    loss = -torch.logaddexp(last, torch.where(lengths > 0, before, _NEVER))
    loss = torch.where(loss > -_NEVER / 2, 0.0 if zero_infinity else math.inf, loss)
    if log_probs.dim() == 2:
        loss = loss[0]
        lengths = lengths[0]
    return _reduced(loss / lengths.clamp(min=1) if reduction == "mean" else loss, reduction)


def _ints(lengths: Any) -> Sequence[int]:
    """The lengths, where they are known without looking at arrays."""
    return [int(n) for n in lengths] if isinstance(lengths, list | tuple) and len(lengths) else []


def _padded(targets: Any, lengths: Any, count: int, longest: int | None) -> Any:
    """Labels by rows; those of all rows may lie one behind the other."""
    if targets.dim() == 2 or count == 1:
        return targets.reshape(count, -1)
    ends = lengths.cumsum(0)
    places = (ends - lengths)[:, None] + torch.arange(targets.shape[0] if longest is None else longest)
    return targets[places.clamp(max=targets.shape[0] - 1)]


def _lstsq(a: Any, b: Any, rcond: Any = None, *, driver: str | None = None) -> Any:
    """The least squares of matrices of full rank, by Q and R; singular ones are refused when they are solved."""
    vector = b.dim() == a.dim() - 1 and b.shape == a.shape[:-1]
    right = b[..., None] if vector else b
    rows, columns = a.shape[-2:]
    if rows >= columns:
        q, r = torch.linalg.qr(a)
        found = torch.linalg.solve_triangular(r, q.mH @ right, upper=True)
    else:
        q, r = torch.linalg.qr(a.mH)
        found = q @ torch.linalg.solve_triangular(r.mH, right, upper=False)
    told = rows > columns and driver in ("gels", "gelsd", "gelss")
    rest = (a @ found - right).abs().square().sum(-2) if told else a.real.new_zeros(0)
    values = torch.linalg.svdvals(a) if driver in ("gelsd", "gelss") else a.real.new_zeros(0)
    solution = found[..., 0] if vector else found
    return torch.return_types.linalg_lstsq((solution, rest, torch.linalg.matrix_rank(a), values))


def _cov(x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """How rows vary together."""
    rows = x.reshape(1, -1) if x.dim() < 2 else x
    ones = torch.ones(rows.shape[1], dtype=rows.real.dtype)
    counts, weights = (ones if each is None else each.to(ones.dtype) for each in (fweights, aweights))
    shares = counts * weights
    whole = shares.sum()
    away = rows - (rows * shares).sum(1, keepdim=True) / whole
    free = whole - correction * (shares * weights).sum() / whole
    return ((away * shares) @ away.mH / free.clamp(min=0)).squeeze()


def _corrcoef(x: Any) -> Any:
    """How rows vary together, by how they do alone."""
    together = _cov(x)
    if together.dim() == 0:
        return together / together
    alone = together.diagonal().real.sqrt()
    shares = together / alone[:, None] / alone
    return torch.complex(shares.real.clip(-1, 1), shares.imag.clip(-1, 1)) if x.is_complex() else shares.clip(-1, 1)


def _multilabel_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """Margins between the labels before the first -1 and all others."""
    input, target = torch.atleast_1d(input, target)
    there = (target >= 0).cumprod(-1).bool()
    places = target.clamp(min=0)
    own = torch.zeros_like(target).scatter_add(-1, places, there.long()) > 0
    margins = (1 - input.gather(-1, places)[..., :, None] + input[..., None, :]).relu()
    counted = there[..., :, None] & ~own[..., None, :]
    loss = torch.where(counted, margins, 0.0).sum((-2, -1)) / input.shape[-1]
    return _reduced(loss, reduction)


_OWN = batchnorm._BatchNorm.forward


def _normalised(self: Any, input: Any) -> Any:
    """By the batch; of how many batches there were, running averages alone would tell, and they stay as they are."""
    if not self.training or self.momentum is not None:
        return _OWN(self, input)
    self._check_input_dim(input)
    return functional.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)


REPLACED: Sequence[tuple[Any, str, Any]] = (
    (Dirichlet, "rsample", _dirichlet),
    (functional, "ctc_loss", _ctc_loss),
    (functional, "multilabel_margin_loss", _multilabel_margin_loss),
    (torch, "ctc_loss", _ctc_loss),
    (torch.linalg, "lstsq", _lstsq),
    *(
        (owner, name, each)
        for owner in (torch, torch.Tensor)
        for name, each in (("cov", _cov), ("corrcoef", _corrcoef))
    ),
    (batchnorm._BatchNorm, "forward", _normalised),
)
"""Where each is found, and what stands there while a program is exported."""
