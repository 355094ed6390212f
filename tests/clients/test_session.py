"""The dialogue with a service, played without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradserve import wire
from gradserve.client.transport.blobs import INLINE_BYTES
from gradserve.client.transport.budget import RetryBudget
from gradserve.client.transport.deadline import Deadline, paused
from gradserve.client.transport.ended import Closed, Unreachable
from gradserve.client.transport.session import ENDLESS_SECONDS, FIRST_SECONDS, PAUSES, Session
from gradserve.client.transport.steps import Alone, Begin, Next, Pause, Send, Steps, Tell
from gradserve.ir.errors import (
    GradserveError,
    GraphNotRegistered,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    Unavailable,
    Violation,
)
from gradserve.ops import OP_SET
from gradserve.questions import call, derivations, derivatives, estimates, explanation, report
from gradserve.text.parsing import parse
from gradserve.v1 import blob_service_pb2, graph_service_pb2
from gradserve.wire.methods import reply_class

GRAPH = parse('graph (%0 "w": f64[n]) {\n  %1: f64[n] = mul %0, %0\n  return "y" %1\n}', OP_SET)
SMALL, LARGE = np.ones(3), np.zeros(1 + INLINE_BYTES // 8)


def evaluation(array):
    return derivatives.Differentiate(call.Call(GRAPH, {"w": array}), derivations.Evaluate())


class Service:
    """Answers the steps of a session from a script, and writes down what was called."""

    def __init__(self, **replies: Any) -> None:
        self.replies = {
            "RegisterGraph": graph_service_pb2.RegisterGraphResponse(),
            "FindMissingBlobs": blob_service_pb2.FindMissingBlobsResponse(),
            **replies,
        }
        self.called: list[str] = []
        self.paused: list[float] = []
        self.left: float | None = None
        """Seconds until the deadline."""

    def run(self, steps: Steps[Any]) -> tuple[list[Any], Any]:
        """What the steps tell and what they come to."""
        told, found, error = [], None, None
        try:
            while True:
                step = steps.send(found) if error is None else steps.throw(error)
                found = error = None
                if isinstance(step, Tell):
                    told.append(step.answer)
                    continue
                try:
                    found = self.do(step)
                except GradserveError as raised:
                    error = raised
        except StopIteration as done:
            return told, done.value

    def do(self, step: Any) -> Any:
        match step:
            case Send(method, request):
                self.called.append(method)
                return self.reply(method, request)
            case Begin(method, request):
                self.called.append(method)
                return iter(self.reply(method, request))
            case Next(replies):
                found = next(replies, None)
                if isinstance(found, GradserveError):
                    raise found
                return found
            case Pause(seconds):
                self.paused.append(seconds)
                if self.left is not None:
                    self.left = max(0.0, self.left - seconds)
                return self.left
            case Alone(_, inner):
                return self.run(inner)[1]
        raise AssertionError(step)

    def reply(self, method: str, request: Any) -> Any:
        reply = self.replies[method]
        if isinstance(reply, list):
            reply = reply.pop(0)
        if isinstance(reply, GradserveError):
            raise reply
        return reply(request) if callable(reply) else reply


def reply_to_evaluation(array=SMALL):
    reply = reply_class("Evaluate")()
    assert hasattr(reply, "outputs")
    wire.write_tensor(reply.outputs["y"], array)
    return reply


def test_a_graph_is_registered_once_and_again_when_it_is_forgotten():
    service = Service(
        Evaluate=[reply_to_evaluation(), reply_to_evaluation(), GraphNotRegistered("?"), reply_to_evaluation()]
    )
    session = Session()
    for _ in range(3):
        _, answer = service.run(session.ask(evaluation(SMALL)))
        np.testing.assert_array_equal(answer.arrays["value"]["y"], SMALL)
    assert service.called == ["RegisterGraph", "Evaluate", "Evaluate", "Evaluate", "RegisterGraph", "Evaluate"]


def explained(refusal=None):
    return wire.encode_answer(
        explanation.Explain(evaluation(SMALL)),
        explanation.Explanation({}, {}, "", 0.0, 0.0, 0, 0.0, (), "refused", "", "", 0.0, refusal=refusal),
    )


def test_what_would_be_refused_is_not_uploaded():
    refusal = explanation.Refusal("points", "too many")
    service = Service(ExplainGraph=explained(refusal))
    with pytest.raises(LimitExceeded, match="too many") as caught:
        service.run(Session().ask(evaluation(LARGE)))
    assert caught.value.limit == "points"
    assert service.called == ["RegisterGraph", "ExplainGraph"]


def test_the_question_before_the_upload_has_types_alone():
    requests: list[Any] = []

    def explain(request):
        requests.append(request)
        return explained()

    service = Service(ExplainGraph=explain, Evaluate=[reply_to_evaluation(LARGE), reply_to_evaluation()])
    service.run(Session().ask(evaluation(LARGE)))
    assert service.called == ["RegisterGraph", "ExplainGraph", "FindMissingBlobs", "Evaluate"]
    assert requests[0].ByteSize() < 200
    assert list(requests[0].evaluate.call.arguments["w"].shape) == [len(LARGE)]
    service.called.clear()
    service.run(Session().ask(evaluation(SMALL)))
    assert "ExplainGraph" not in service.called


def test_a_blob_of_which_the_beginning_is_gone_is_written_anew():
    """What the service had of it when it was asked has had to make room since."""
    begun: list[int] = []

    def write(requests):
        begun.append(next(requests).offset)
        if begun[-1]:
            raise InvalidRequest("the blob does not fit", [Violation("offset", "B4", "leaves a gap")])
        return blob_service_pb2.WriteBlobResponse()

    def missing(request):
        blobs = [blob_service_pb2.MissingBlob(digest=digest, offset=4096) for digest in request.digests]
        return blob_service_pb2.FindMissingBlobsResponse(missing=blobs)

    service = Service(
        ExplainGraph=explained(), FindMissingBlobs=missing, WriteBlob=write, Evaluate=reply_to_evaluation(LARGE)
    )
    service.run(Session().ask(evaluation(LARGE)))
    assert begun == [4096, 0]


def trace(probes, stop=estimates.StopReason.NONE):
    return wire.encode_answer(
        estimates.EstimateTrace(call.Call(GRAPH, {})),
        estimates.TraceEstimate(1.0, 0.0, 0.0, 2.0, probes, stop, 0, 0.95, report.Report()),
    )


LAST = trace(3, estimates.StopReason.MAX_PROBES)


def test_a_stream_that_breaks_off_is_gone_on_with():
    broken = [trace(1), trace(2), Unavailable("gone")]
    service = Service(EstimateTrace=[broken, Unavailable("not yet"), [trace(1), trace(2), LAST]])
    told, _ = service.run(Session().stream(estimates.EstimateTrace(call.Call(GRAPH, {"w": SMALL}))))
    assert [estimate.probes for estimate in told] == [1, 2, 3]
    assert service.paused == list(PAUSES[:2])


QUESTIONS = {
    "ask": evaluation(SMALL),
    "stream": estimates.EstimateTrace(call.Call(GRAPH, {"w": SMALL})),
}


@pytest.fixture(params=QUESTIONS)
def attempt(request):
    """A way to ask a session, which nothing answers."""
    return lambda session: getattr(session, request.param)(QUESTIONS[request.param])


def run(service, steps):
    with pytest.raises(Unavailable) as caught:
        service.run(steps)
    return caught.value


def test_a_service_that_never_answered_is_soon_given_up(attempt):
    service = Service(RegisterGraph=Unreachable("nobody there"))
    service.left = 1000.0
    assert "nobody there" in str(run(service, attempt(Session())))
    assert FIRST_SECONDS < sum(service.paused) < FIRST_SECONDS + 1


def test_a_service_that_has_answered_is_waited_for_until_the_deadline(attempt):
    service, session = Service(Evaluate=[reply_to_evaluation()]), Session()
    service.run(session.ask(evaluation(SMALL)))
    service.replies |= {"Evaluate": Unreachable("away"), "EstimateTrace": Unreachable("away")}
    service.left = 1000.0
    assert "away" in str(run(service, attempt(session)))
    assert sum(service.paused) == pytest.approx(1000.0, abs=1.0)
    assert max(service.paused) < 1.0


def test_without_a_deadline_waiting_ends_too(attempt):
    service = Service(Evaluate=Unavailable("full"), EstimateTrace=Unavailable("full"))
    assert "full" in str(run(service, attempt(Session())))
    assert ENDLESS_SECONDS < sum(service.paused) < ENDLESS_SECONDS + 1


def test_a_closed_client_does_not_try_again(attempt):
    service = Service(RegisterGraph=Closed())
    assert isinstance(run(service, attempt(Session())), Closed)
    assert not service.paused


def test_a_full_service_is_asked_again_when_it_has_said_so(attempt):
    service = Service(Evaluate=[Overloaded("full", retry_after=7.5), reply_to_evaluation()])
    service.replies["EstimateTrace"] = [Overloaded("full", retry_after=7.5), [LAST]]
    service.left = 1000.0
    service.run(attempt(Session()))
    assert service.paused == [7.5]


def test_what_is_too_large_is_not_asked_again(attempt):
    error = LimitExceeded("flops", "too large")
    service = Service(Evaluate=error, EstimateTrace=error)
    service.left = 1000.0
    with pytest.raises(LimitExceeded):
        service.run(attempt(Session()))
    assert not service.paused


def test_a_session_that_was_refused_before_begins_with_the_pause():
    service = Service(Evaluate=[reply_to_evaluation()])
    service.left = 1000.0
    service.run(Session().ask(evaluation(SMALL), Overloaded("full", retry_after=3.0)))
    assert service.paused == [3.0]


def test_repetitions_are_paid_for_by_answers(attempt):
    service, session = Service(Evaluate=Overloaded("full"), EstimateTrace=Overloaded("full")), Session()
    session.budget = RetryBudget(5)
    service.left = 1e6
    for expected in (5, 5):  # nothing is left for the second
        assert isinstance(run(service, attempt(session)), Overloaded)
        assert len(service.paused) == expected
    service.replies |= {"Evaluate": [reply_to_evaluation()], "EstimateTrace": [[LAST]]}
    service.run(attempt(session))
    service.replies |= {"Evaluate": Overloaded("full"), "EstimateTrace": Overloaded("full")}
    run(service, attempt(session))
    assert len(service.paused) == 6


@pytest.mark.parametrize("told", [True, False])
def test_pauses_are_as_long_as_was_said(told):
    slept = []

    class Patient(Deadline):
        def pause(self, seconds):
            slept.append(seconds)

    deadline = Patient(100.0)
    for _ in range(50):
        paused(deadline, 10.0, told)
    low, high = (10.0, 12.5) if told else (5.0, 10.0)
    assert low <= min(slept) < max(slept) <= high
    assert paused(Deadline(1.0), 10.0, told=True) == 0.0
    assert paused(Deadline(None), 1e-3, told) is None
