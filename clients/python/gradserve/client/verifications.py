"""What can be verified of a function: its derivatives, those that somebody claims, and the symmetry of its Hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gradserve.client.asker import Asker
from gradserve.client.asking import options_from, require_callable, token_of
from gradserve.client.claims import Target
from gradserve.client.entries import parse_pairs
from gradserve.client.reproducing import reproducer, written
from gradserve.client.tracing.signature import Names
from gradserve.questions.call import arrays_of
from gradserve.questions.claimed import Claimed
from gradserve.questions.symmetry import SymmetryProgress, SymmetryReport, VerifySymmetry
from gradserve.questions.verification import VerificationProgress, VerificationReport, VerifyGradient

_HEAD = "function and at: what was verified, and a tuple of its arguments"


class Verifications(Asker):
    """A function whose derivatives can be verified."""

    __slots__ = ()

    def verify(
        self,
        *arguments: Any,
        claimed: Any = None,
        of: Target = "gradient",
        tangent: Any = None,
        directions: int = 0,
        seed: int = 0,
        rel_tol: float = 0.0,
        order: int = 0,
        thorough: bool = False,
        wrt: Names = (),
        progress: Callable[[VerificationProgress], object] | None = None,
        resume: VerificationProgress | bytes | None = None,
        **named: Any,
    ) -> VerificationReport:
        """A finite-difference verification of the gradient, or of what is `claimed`: `.passed`, `.worst`; prints well.

        `.reproducer` has some lines of Python that repeat the worst check.

        `of` says what is claimed: a `gradient`, a `diagonal` of the Hessian or an `hvp`, as the parameters are; a
        `jvp`, as the value is, which is one array; or a `jacobian`, which has for each parameter an array of the
        value's shape followed by the parameter's. Products are with a `tangent`.
        With `order=2` H v against differences of the gradient as well; if `thorough`, by other means than differences
        too: twice, on every executor, forward against reverse, by complex steps. 0 stands for the service's default.
        `progress` is called at every stage; `resume` is what it was called with, or the `.token` of that, to go on from
        there.
        """
        bound = self._bound(arguments, named, wrt, False)
        chosen = {"directions": directions, "seed": seed, "rel_tol": rel_tol, "order": order, "thorough": thorough}
        options = options_from(VerifyGradient, {**chosen, "of": of})
        vectors, tangents = {}, {} if tangent is None else bound.vectors(tangent, "tangent")
        if claimed is not None:
            by_output = options["of"] is Claimed.JVP
            vectors = bound.cotangents(claimed, "claimed jvp") if by_output else bound.vectors(claimed, f"claimed {of}")
        question = VerifyGradient(
            self._call(bound), bound.real_inputs(), vectors, tangents=tangents, resume=token_of(resume), **options
        )
        require_callable(progress)
        given = ("claimed", claimed), ("tangent", tangent)
        kind = "".join(f", {name}={name}" for name, value in given if value is not None)
        kind += written({"of": "" if of == "gradient" else of, "wrt": wrt, **chosen})
        arrays = arrays_of(question.call.arguments) if of == "gradient" else {}
        finished: list[VerificationReport] = []

        def tell(step: VerificationProgress) -> None:
            if step.report is not None:
                again = reproducer(step.report, arrays, f"print(function.verify(*at{kind}))", _HEAD)
                finished.append(replace(step.report, reproducer=again))
                step = replace(step, report=finished[0])
            if progress is not None:
                progress(step)

        self._verified(question, tell)
        return finished[0]

    def verify_symmetry(
        self,
        *arguments: Any,
        pairs: Sequence[tuple[str, str]] = (),
        count: int = 0,
        seed: int = 0,
        rel_tol: float = 0.0,
        wrt: Names = (),
        progress: Callable[[SymmetryProgress], object] | None = None,
        resume: SymmetryProgress | bytes | None = None,
        **named: Any,
    ) -> SymmetryReport:
        """Whether mixed partials depend on the order in which they are taken: `.passed`, `.worst`; prints as a table.

        Both orders are taken from values of the loss, as limits of mixed differences in which one step vanishes before
        the other, and compared with the derived Hessian, which is symmetric even where the true one is not.

        `pairs` names entries, as in `[("w[0]", "w[3]"), ("w[0]", "b")]`; otherwise `count` pairs are looked at, 0 for
        the service's default: all pairs of entries if they are so few, random signs and random entries if not. Where
        random signs find a dependence, the entries that it comes from are searched for. `progress` and `resume` are
        those of `verify`.
        """
        bound = self._bound(arguments, named, wrt, False)
        named_pairs = parse_pairs(pairs)
        options = options_from(VerifySymmetry, {"count": count, "seed": seed, "rel_tol": rel_tol})
        token = token_of(resume)
        question = VerifySymmetry(self._call(bound), bound.real_inputs(), named_pairs, resume=token, **options)
        report: SymmetryReport = self._verified(question, progress)
        return report
