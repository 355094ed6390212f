"""Functions asked about the matrix of their second derivatives: its spectrum, its eigenpairs, systems with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from gradserve.client import asking
from gradserve.client.asker import Asker
from gradserve.client.losses import names_loss
from gradserve.client.traces import Reduction
from gradserve.client.tracing.signature import Batch, Bound, Names
from gradserve.questions.eigenpairs import Eigenpairs, TopEigenpairs
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.solve import Solution, SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum, SpectrumEstimate

Matrix: TypeAlias = Literal["hessian", "gauss-newton", "fisher"]
End: TypeAlias = Literal["largest", "smallest", "magnitude"]
Preconditioner: TypeAlias = Literal["none", "diagonal"]


class Spectral(Asker):
    """Asks about a matrix that is never made, by products with it; each question is one call.

    Of all of them: `matrix="gauss-newton"` asks about J^T H J instead of the Hessian, with the `loss` that
    `gauss_newton_product` takes, and `"fisher"` about g g^T for the gradient g. As a number 0 stands for the service's
    default. With `batch` and a `reduction` it is the sum or the mean of the matrices of all examples. Of spectra and
    eigenpairs `batch` alone, such as the points of a training, is a list with the answer at each point, and `groups`, a
    dict from names to parameters, or to what lies in them, a dict with the answer about each group's own rows and
    columns. `progress` is called with every answer on the way, each a full current one; raising StopIteration in it
    leaves with that one. `resume` is such an answer, or its `.token`: the same call goes on from there, with any
    service, to the bit as if it had never ended; of several matrices at that of the answer.
    """

    __slots__ = ()

    def hessian_spectrum(
        self,
        *arguments: Any,
        probes: int = 0,
        steps: int = 0,
        points: int = 0,
        width: float = 0.0,
        damping: float = 0.0,
        seed: int = 0,
        confidence: float = 0.0,
        gradient: bool = False,
        matrix: Matrix = "hessian",
        loss: str = "",
        groups: Mapping[str, Names] | None = None,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        progress: Callable[[SpectrumEstimate], object] | None = None,
        resume: SpectrumEstimate | bytes | None = None,
        **named: Any,
    ) -> Any:
        """The spectrum of the Hessian: density, distribution, ends, moments, log det and more, each with an interval.

        By `probes` random vectors (16) with `steps` products each (64), at the cost of so many Hessian-vector products.
        The density is given at `points` (256), smoothed by `width` times the spectrum's extent (0.02); `damping` times
        the identity is added to the matrix. Prints as a table, `.plot()` draws it, `.trace_of(f)` estimates tr f(A).

        With `gradient=True` the last answer has the `.gradient` of log det A in the parameters, from the same probes
        and from systems that the steps solve, with `.gradient_residual` as their certificate: a regulariser.
        """
        options: dict[str, Any] = {
            "probes": probes,
            "steps": steps,
            "points": points,
            "width": width,
            "damping": damping,
        }
        options |= {"seed": seed, "confidence": confidence, "gradient": gradient, "matrix": matrix, "loss": loss}
        bound = self._bound(arguments, named, wrt, batch, whole=names_loss(options))
        more = {"groups": asking.groups_of(bound, groups)}
        found = self._about(EstimateSpectrum, bound, reduction, more, options, progress, resume)
        return asking.by_group(found, bool(bound.batch) and reduction == "none", bool(groups))

    def hessian_eigenpairs(
        self,
        *arguments: Any,
        count: int = 0,
        end: End = "largest",
        tol: float = 0.0,
        max_products: int = 0,
        basis: int = 0,
        seed: int = 0,
        start: Any = None,
        matrix: Matrix = "hessian",
        loss: str = "",
        groups: Mapping[str, Names] | None = None,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        progress: Callable[[Eigenpairs], object] | None = None,
        resume: Eigenpairs | bytes | None = None,
        **named: Any,
    ) -> Any:
        """The `count` (4) eigenpairs at an end of the Hessian's spectrum, with |A v - lambda v| as certificates.

        `.values`, `.vectors` in the structure of the parameters with a leading axis, `.residuals`, `.converged`: within
        `tol` (1e-6) times the largest eigenvalue. Repeated eigenvalues are found as well: `.complete` says that a
        search from new random vectors found no other. `start` is an earlier answer, at this point or one near it, or
        vectors such as its own.
        """
        options: dict[str, Any] = {"count": count, "end": end, "tol": tol, "max_products": max_products, "basis": basis}
        options |= {"seed": seed, "matrix": matrix, "loss": loss}
        bound = self._bound(arguments, named, wrt, batch, whole=names_loss(options))
        trees = start.vectors if isinstance(start, Eigenpairs) else start
        more: dict[str, Any] = {"groups": asking.groups_of(bound, groups)}
        if trees is not None:
            more["start"] = bound.vectors(trees, "start")
        found = self._about(TopEigenpairs, bound, reduction, more, options, progress, resume)
        return asking.by_group(found, bool(bound.batch) and reduction == "none", bool(groups))

    def hessian_solve(
        self,
        *arguments: Any,
        right: Any,
        damping: float = 0.0,
        tol: float = 0.0,
        max_iterations: int = 0,
        preconditioner: Preconditioner = "none",
        diagonal: Any = None,
        probes: int = 0,
        seed: int = 0,
        matrix: Matrix = "hessian",
        loss: str = "",
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        progress: Callable[[Solution], object] | None = None,
        resume: Solution | bytes | None = None,
        **named: Any,
    ) -> Solution:
        """x with (H + damping I) x = `right`, which has the structure of the parameters, by conjugate gradients.

        `.solution`, and `.residual` as certificate: |right - (H + damping I) x| / |right| of a product with x itself,
        at most `tol` (1e-6) if it has `.converged`. Where a direction of negative curvature is met it ends with that:
        `.stop_reason`, `.direction` and `.curvature`. With `preconditioner="diagonal"` iterations are relative to the
        `diagonal` of H, or to an estimate of it from `probes` (32) random vectors.
        """
        options: dict[str, Any] = {"damping": damping, "tol": tol, "max_iterations": max_iterations}
        options |= {"preconditioner": preconditioner, "probes": probes, "seed": seed, "matrix": matrix, "loss": loss}
        bound = self._bound(arguments, named, wrt, batch, whole=names_loss(options))
        vectors = {"right": bound.vectors(right, "right-hand side")}
        if diagonal is not None:
            vectors["diagonal"] = bound.vectors(diagonal, "diagonal")
        found: Solution = self._about(SolveHessian, bound, reduction, vectors, options, progress, resume)[-1]
        return found

    def _about(
        self,
        kind: type[OfMatrix],
        bound: Bound,
        reduction: Reduction,
        more: Mapping[str, Any],
        options: Mapping[str, Any],
        progress: Callable[[Any], object] | None,
        resume: Any,
    ) -> list[Any]:
        """The last answers to a question, about each of its matrices."""
        chosen = asking.options_from(kind, options)
        token = asking.token_of(resume)
        question = replace(kind(self._call(bound, reduction), bound.real_inputs()), resume=token, **more, **chosen)
        return self._bettered(question, bound, progress)
