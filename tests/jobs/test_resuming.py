"""Streams that are gone on with from any of their answers, to the bit, at no cost that was paid before."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.jobs.answering import answers
from gradserve.jobs.estimates.probing import ESTIMATORS
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.sweep import SweepSchedule
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Batch, Call, Options, Reduction
from gradserve.questions.claimed import Claimed
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.estimates import EstimateDiagonal, EstimateTrace, Estimator
from gradserve.questions.matrices import Matrix
from gradserve.questions.report import Report
from gradserve.questions.resuming import MOST_BYTES, digest_of
from gradserve.questions.solve import Preconditioner, SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.verification import VerifyGradient
from gradserve.questions.zero_order import EstimateGradient, Scheme
from gradserve.runtime.control import Control
from gradserve.v1 import stream_token_pb2
from gradserve.wire.tensors import encode_tensor
from tests.jobs.support import arguments_of, call_of, layer, product, quadratic, real

GRAPH = layer(width=5)
CALL = call_of(GRAPH, arguments_of(GRAPH))
SIZE = 35
RIGHT = {"W": np.ones((5, 5)), "x": np.ones(5), "b": np.ones(5)}


def spread(size: int) -> np.ndarray:
    """A positive definite matrix whose eigenvalues fall slowly."""
    basis, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((size, size)))
    matrix: np.ndarray = (basis * (1.0 / np.arange(1, size + 1))) @ basis.T
    return matrix


@functools.cache
def of_matrix(size: int) -> Call:
    return call_of(quadratic(spread(size)), {"x": np.zeros(size)})


def least_squares() -> Call:
    """(<w, x> - 1)^2 at each of 12 examples x."""
    g = builder()
    w, x = g.input("w", real(6)), g.input("x", real(6))
    residual = product(g, w, x) - 1.0
    rng = np.random.default_rng(5)
    arguments = {"w": rng.standard_normal(6), "x": rng.standard_normal((12, 6))}
    return Call(g.build({"loss": residual * residual}), arguments, Batch(("x",), Reduction.SUM))


EXACTLY = EstimateTrace(CALL, relative_tolerance=1e-9)
BEHIND = {name: -np.ones(a.shape) for name, a in RIGHT.items()}
QUESTIONS: dict[str, Any] = {
    "hutchinson": EstimateTrace(CALL, seed=1, estimator=Estimator.HUTCHINSON, max_probes=200),
    "hutchinson-tolerance": EstimateTrace(
        CALL, seed=1, estimator=Estimator.HUTCHINSON, max_probes=4096, relative_tolerance=0.05
    ),
    "diagonal": EstimateDiagonal(CALL, seed=2, max_probes=100),
    **{
        str(estimator): EstimateTrace(of_matrix(300), seed=3, max_probes=96, estimator=estimator, diagonal=True)
        for estimator in (Estimator.AUTO, Estimator.HUTCHPP, Estimator.NYSTROMPP)
    },
    **{
        str(estimator): replace(EXACTLY, call=of_matrix(300), estimator=estimator, max_probes=64)
        for estimator in (Estimator.XTRACE, Estimator.XNYSTRACE)
    },
    "auto-tolerance": EstimateTrace(
        of_matrix(300), seed=3, max_probes=4096, estimator=Estimator.AUTO, relative_tolerance=0.03
    ),
    "exact": EstimateTrace(of_matrix(600), estimator=Estimator.EXACT, diagonal=True),
    "fisher": EstimateTrace(
        least_squares(), ("w",), max_probes=64, matrix=Matrix.FISHER, diagonal=True, estimator=Estimator.HUTCHINSON
    ),
    "values": EstimateGradient(CALL, seed=7, max_probes=100),
    "values-forward": EstimateGradient(CALL, seed=7, max_probes=100, scheme=Scheme.FORWARD, relative_tolerance=1e-3),
    "spectrum": EstimateSpectrum(CALL, seed=4, probes=8, steps=6),
    "spectrum-gradient": EstimateSpectrum(of_matrix(40), seed=4, probes=4, steps=6, gradient=True),
    "trace-gradient": EstimateTrace(CALL, seed=4, max_probes=48, gradient=True, estimator=Estimator.HUTCHINSON),
    "eigenpairs": TopEigenpairs(of_matrix(60), count=3, basis=8, tolerance=1e-9),
    "solve": SolveHessian(of_matrix(90), right={"x": np.ones(90)}, tolerance=1e-10),
    "solve-preconditioned": SolveHessian(
        CALL, ("W", "x", "b"), right=RIGHT, damping=5.0, preconditioner=Preconditioner.DIAGONAL
    ),
    "gradient": VerifyGradient(CALL, ("W", "x", "b"), seed=5, order=2),
    "claim": VerifyGradient(CALL, ("W", "x", "b"), BEHIND, seed=5),
    "thorough": VerifyGradient(CALL, ("W", "x", "b"), seed=5, thorough=True),
    "claimed diagonal": VerifyGradient(CALL, ("W", "x", "b"), BEHIND, Claimed.DIAGONAL, seed=5),
    "claimed hvp": VerifyGradient(CALL, ("W", "x", "b"), BEHIND, Claimed.HVP, RIGHT, seed=5),
    "symmetry": VerifySymmetry(CALL, seed=6),
}


@pytest.fixture(autouse=True)
def short_visits(monkeypatch):
    """Systems take several visits, however quick products are."""
    monkeypatch.setattr("gradserve.jobs.estimates.solve.VISIT_SECONDS", 2e-4)


@pytest.fixture(scope="module")
def whole(context) -> Mapping[str, list[Any]]:
    """Every stream from its beginning to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradserve.jobs.estimates.solve.VISIT_SECONDS", 2e-4)
        return {name: list(answers(context, question, Control())) for name, question in QUESTIONS.items()}


def bits(value: Any) -> Any:
    """What is the same in equal answers: all but seconds, workers and where the work can be gone on with."""
    if isinstance(value, Report):
        counts = replace(value.timeless, plan_cache_hit=True)
        return repr(replace(counts, chunks=0, flops=0.0, peak_bytes=0))  # a part of a chunk may have been run again
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return {name: bits(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    if is_dataclass(value):
        return {field.name: bits(getattr(value, field.name)) for field in fields(value) if field.name != "token"}
    return repr(value)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_stream_goes_on_from_each_of_its_answers(name, whole):
    """In a process that knows nothing of the one before."""
    uninterrupted = [bits(answer) for answer in whole[name]]
    assert len(uninterrupted) > 1, "a stream of one answer shows nothing"
    pool = LocalPool(1)
    try:
        for position in {0, len(uninterrupted) // 2, len(uninterrupted) - 1}:
            question = replace(QUESTIONS[name], resume=whole[name][position].token)
            found = [bits(answer) for answer in answers(Context(pool), question, Control())]
            wanted = uninterrupted[position:]
            if isinstance(question, VerifyGradient | VerifySymmetry) and position == len(uninterrupted) - 1:
                wanted = uninterrupted[position - 1 :]  # the report comes after the last stage
            assert found == wanted
    finally:
        pool.close()


@pytest.mark.parametrize("name", ["hutchinson-tolerance", "diagonal", "auto", "values"])
def test_a_stream_that_takes_long_goes_on_from_between_its_looks(name, context, monkeypatch):
    """It tells how far it is after every chunk, and ends as one that does not."""
    monkeypatch.setattr("gradserve.jobs.sweeps.vectors.BLOCK_SECONDS", 0.0)
    question = replace(QUESTIONS[name], max_probes=250, relative_tolerance=0.0)
    found = list(answers(context, question, Control()))
    taken = [answer.probes for answer in found]
    assert max(np.diff(taken)) <= 64
    between = len(found) - 2
    assert found[between].probes > 128
    again = list(answers(context, replace(question, resume=found[between].token), Control()))
    assert [bits(each) for each in again] == [bits(each) for each in found[between:]]


@pytest.mark.parametrize("name", ["hutchinson", "auto", "exact", "spectrum", "eigenpairs", "solve", "claim"])
def test_what_was_computed_is_not_computed_again(name, whole, context, monkeypatch):
    """A stream that goes on from its last answer runs nothing but a gradient to be verified."""
    runs: list[int] = []
    real_run = SweepSchedule.run

    def run(self, laps, data, control, chunks=None):
        runs.append(self.sweep.laps if chunks is None else len(chunks))
        return real_run(self, laps, data, control, chunks)

    monkeypatch.setattr(SweepSchedule, "run", run)
    last = whole[name][-1]
    list(answers(context, replace(QUESTIONS[name], resume=last.token), Control()))
    assert sum(runs) <= {"claim": 2}.get(name, 0)


def test_the_law_fails_for_work_that_begins_anew(whole, context):
    """A planted fault: a state that forgets one of its samples."""
    token = stream_token_pb2.StreamToken.FromString(whole["hutchinson"][1].token)
    token.state["mean"].CopyFrom(encode_tensor(np.asarray(0.5)))
    question = replace(QUESTIONS["hutchinson"], resume=token.SerializeToString())
    found = [bits(answer) for answer in answers(context, question, Control())]
    assert found != [bits(answer) for answer in whole["hutchinson"][1:]]


# ---- tokens that are not those of the question


@pytest.mark.parametrize(
    "change",
    [
        lambda q: replace(q, seed=9),
        lambda q: replace(q, max_probes=199),
        lambda q: replace(q, wrt=("W",)),
        lambda q: replace(q, call=replace(q.call, arguments={**q.call.arguments, "x": np.full(5, 0.25)})),
        lambda q: replace(q, call=replace(q.call, options=Options(executor="numpy"))),
        lambda q: replace(q, call=replace(q.call, options=Options(count_kinks=False))),
        lambda q: EstimateDiagonal(q.call, seed=q.seed, max_probes=q.max_probes),
        lambda q: replace(q, call=call_of(layer(width=6), arguments_of(layer(width=6)))),
    ],
)
def test_a_token_of_another_question_is_refused(change, whole, context):
    question = replace(change(QUESTIONS["hutchinson"]), resume=whole["hutchinson"][0].token)
    with pytest.raises(InvalidRequest, match="it is one of another question") as refused:
        next(answers(context, question, Control()))
    assert [violation.field for violation in refused.value.violations] == ["resume"]


def test_where_it_runs_and_how_answers_come_back_do_not_matter(whole):
    question = QUESTIONS["hutchinson"]
    elsewhere = replace(question, call=replace(question.call, options=Options(inline_limit=5)), resume=b"any")
    assert digest_of(elsewhere) == digest_of(question)


def test_work_goes_on_where_it_began(whole, context):
    """On the executor of the token, whichever would be chosen now; and on none that there is not."""
    token = stream_token_pb2.StreamToken.FromString(whole["spectrum"][0].token)
    assert token.report.executor == "numpy"
    token.report.executor = "fused"
    question = replace(QUESTIONS["spectrum"], resume=token.SerializeToString())
    assert [each.report.executor for each in answers(context, question, Control())][-1] == "fused"
    token.report.executor = "none such"
    with pytest.raises(InvalidRequest, match="the report"):
        list(answers(context, replace(question, resume=token.SerializeToString()), Control()))


def test_a_state_that_is_too_large_has_no_token(whole, context, monkeypatch):
    monkeypatch.setattr("gradserve.wire.stream_tokens.MOST_BYTES", 100)
    found = list(answers(context, QUESTIONS["eigenpairs"], Control()))
    assert {each.token for each in found} == {b""}
    assert bits(found[-1]) == bits(whole["eigenpairs"][-1])
    assert MOST_BYTES == 32 << 20


def test_products_that_are_too_many_are_not_kept(whole, context, monkeypatch):
    monkeypatch.setattr("gradserve.jobs.estimates.traces.MOST_BYTES", 1000)
    found = list(answers(context, QUESTIONS["xtrace"], Control()))
    assert {each.token for each in found} == {b""}
    assert bits(found[-1]) == bits(whole["xtrace"][-1])


# ---- tokens that nobody has given


NUMBERS = [np.nan, np.inf, -1.0, 0.0, 1e300, 2.0]
WHOLE = [-1, 0, 3, 1 << 40, (1 << 63) - 1]


@st.composite
def damaged(draw, token: bytes) -> bytes:
    """The token of this question with something else in one place, or with other bytes."""
    message = stream_token_pb2.StreamToken.FromString(token)
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(message.state)))
        tensor = message.state[name]
        shape = tuple(draw(st.sampled_from([tensor.shape, [], [2], [0], [1, 3], [7, 2, 2]])))
        value = draw(st.sampled_from([*NUMBERS, *WHOLE]))
        tensor.CopyFrom(encode_tensor(np.full(shape, value)))
    elif draw(st.booleans()):
        tensor = message.state[draw(st.sampled_from(sorted(message.state)))]
        tensor.shape.append(1 << 50)
    else:
        data = bytearray(message.SerializeToString())
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
        return bytes(data)
    return message.SerializeToString()


@pytest.mark.parametrize("name", QUESTIONS)
@settings(max_examples=6)
@given(data=st.data())
def test_tokens_that_nobody_has_given_end_in_an_answer_or_a_typed_error(name, data, whole, context):
    token = data.draw(damaged(whole[name][len(whole[name]) // 2].token))
    question = replace(QUESTIONS[name], resume=token)
    with contextlib.suppress(GradserveError):
        for _ in zip(range(3), answers(context, question, Control.after(30.0)), strict=False):
            pass


@pytest.mark.parametrize("counts", [{"chunks": 2**32 - 1}, {"retries": 2**31}, {"peak_bytes": 2**64 - 1}])
def test_a_token_of_more_work_than_anybody_does_is_refused(counts, whole, context):
    """To what it tells of, the work from there on is added."""
    message = stream_token_pb2.StreamToken.FromString(whole["hutchinson"][0].token)
    for name, count in counts.items():
        setattr(message.report, name, count)
    question = replace(QUESTIONS["hutchinson"], resume=message.SerializeToString())
    with pytest.raises(InvalidRequest, match="more than anybody does"):
        next(answers(context, question, Control()))


@pytest.mark.parametrize("token", [b"\xff", b"no token", stream_token_pb2.StreamToken(version=9).SerializeToString()])
def test_bytes_that_are_no_token(token, context):
    with pytest.raises(InvalidRequest, match="the token is not one of this question"):
        next(answers(context, replace(QUESTIONS["hutchinson"], resume=token), Control()))


def test_the_table_of_questions_covers_all_that_stream():
    kinds = {type(question) for question in QUESTIONS.values()}
    assert {*ESTIMATORS, EstimateSpectrum, TopEigenpairs, SolveHessian} < kinds
