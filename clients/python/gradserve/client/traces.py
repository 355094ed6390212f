"""Estimates of traces and diagonals, as a function of the client asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from gradserve.client import asking
from gradserve.client.asker import Asker
from gradserve.client.losses import names_loss
from gradserve.client.tracing.signature import Batch, Names
from gradserve.questions.estimates import EstimateTrace, TraceEstimate

Reduction: TypeAlias = Literal["none", "sum", "mean"]
TraceEstimator: TypeAlias = Literal["auto", "hutchinson", "hutch++", "xtrace", "nystrom++", "xnystrace", "exact"]


class Traces(Asker):
    """A function that can be asked for traces."""

    __slots__ = ()

    def hessian_trace(
        self,
        *arguments: Any,
        rel_tol: float = 0.0,
        abs_tol: float = 0.0,
        max_probes: int = 0,
        seed: int = 0,
        confidence: float = 0.0,
        estimator: TraceEstimator = "auto",
        sampler: Literal["auto", "signs", "sphere"] = "auto",
        matrix: Literal["hessian", "gauss-newton", "fisher"] = "hessian",
        loss: str = "",
        diagonal: bool = False,
        groups: Mapping[str, Names] | None = None,
        gradient: bool = False,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        progress: Callable[[TraceEstimate], object] | None = None,
        resume: TraceEstimate | bytes | None = None,
        **named: Any,
    ) -> Any:
        """The trace of the Hessian, with an interval that holds for skewed samples too; `.value`, `.interval`.

        Stops when half the interval is at most `rel_tol` times the estimate or `abs_tol`, or when `max_probes` products
        are spent: with none of them given at 1 % and 4096, with `max_probes` alone at that many. The estimator `auto`
        finds out what the matrix is like, and takes all columns where these are fewer, for the exact trace; `.way`
        says what was done and why. As `confidence` 0 stands for 0.95.

        Of several parameters `.parts` has the part of each, or of each of the `groups`: a dict from names to
        parameters, or to what lies in them, such as `{"first": "params.layers.0"}`; with `diagonal=True` `.diagonal`
        has every entry, each with an interval of its own, from the same products.

        With `gradient=True` the last estimate has its `.gradient` in the parameters as well, its vectors held fixed: a
        trace as a regulariser. It is that of signs alone, or exact; each form's gradient costs about two products.

        `matrix` may be the Gauss-Newton matrix instead, of a function that returns what `loss` names beside what it is
        computed from, or the Fisher matrix g g^T. With `batch` and a `reduction` it is the sum or the mean of the
        matrices of all examples; with `batch` alone, such as the points of a training, it is a list with the estimate
        at each point, all from the same probes, so that their differences vary less than they do.

        `progress` is called with every estimate on the way; raising StopIteration in it leaves with that one. `resume`
        is such an estimate, or its `.token`: the same call goes on from there, with any service, to the bit as if it
        had never ended; of several points at that of the estimate.
        """
        options = {"rel_tol": rel_tol, "abs_tol": abs_tol, "max_probes": max_probes, "confidence": confidence}
        chosen = {"estimator": estimator, "sampler": sampler, "matrix": matrix, "loss": loss, "diagonal": diagonal}
        given = asking.options_from(EstimateTrace, {**options, "seed": seed, "gradient": gradient, **chosen})
        bound = self._bound(arguments, named, wrt, batch, whole=names_loss(chosen))
        asked = {"groups": asking.groups_of(bound, groups), "resume": asking.token_of(resume), **given}
        question = EstimateTrace(self._call(bound, reduction), bound.real_inputs(), **asked)
        found = self._bettered(question, bound, progress)
        return found if bound.batch and reduction == "none" else found[-1]
