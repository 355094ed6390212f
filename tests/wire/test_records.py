"""Every question and every answer comes back from its message as it was."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gradserve.ir.errors import BlobNotFound, InvalidRequest
from gradserve.ir.graph import Graph
from gradserve.ops import OP_SET
from gradserve.questions.asked import QUESTIONS
from gradserve.questions.call import Batch, Call, Options, Placement
from gradserve.questions.derivations import DERIVATIONS, Gradient, Jacobian, Jvp, Mode
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.estimates import EstimateTrace, StopReason
from gradserve.questions.explanation import Explain
from gradserve.questions.report import Report
from gradserve.questions.symmetry import EntryPair, VerifySymmetry
from gradserve.questions.taylor import ExpandAlong
from gradserve.questions.verification import Entry
from gradserve.text.parsing import parse
from gradserve.v1 import execution_pb2
from gradserve.wire import Source, decode_answer, decode_question, encode_answer, encode_question, require_sayable
from gradserve.wire.answers import report_field
from gradserve.wire.methods import METHODS, new_reply, new_request, reply_class, request_class
from gradserve.wire.reports import decode_report, write_report
from gradserve.wire.source import no_graph
from tests.wire.records import ARRAYS, EXPLAINED, GRAPHS, answers, questions, records, same

LAW = settings(max_examples=20)


def known(ref: execution_pb2.GraphRef) -> Graph:
    return next((graph for graph in GRAPHS if graph.digest == ref.digest), None) or no_graph(ref)


SOURCE = Source(graph=known)
W = np.array([1.0, -2.0, 3.0])
CALL = Call(GRAPHS[0], {"w": W})


def through_bytes(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


def understood(rpc: str, request: Any) -> Any:
    return decode_question(rpc, request, SOURCE)


def asked_again(question: Any) -> Any:
    return decode_question(question.rpc, through_bytes(encode_question(question)), SOURCE)


def reply_of(question: Any, answer: Any) -> Any:
    """The whole reply, put together as a service does: bytes of the answer, then bytes of its report."""
    data, field = encode_answer(question, answer).SerializeToString(), report_field(question.rpc)
    if field:
        last, report = new_reply(question.rpc), getattr(answer, field)
        write_report(getattr(last, field), report, tuple(report.phases.values()))
        data += last.SerializeToString()
    return reply_class(question.rpc).FromString(data)


@pytest.mark.parametrize("rpc", QUESTIONS)
def test_questions(rpc):
    @LAW
    @given(questions(rpc))
    def law(question):
        assert same(question, asked_again(question))

    law()


@pytest.mark.parametrize("rpc", QUESTIONS)
def test_answers(rpc):
    @LAW
    @given(st.data(), questions(rpc))
    def law(data, question):
        answer = data.draw(answers(question))
        assert same(answer, decode_answer(question, reply_of(question, answer), SOURCE))

    law()


@LAW
@given(records(Report))
def test_reports(report):
    message = execution_pb2.ExecutionReport()
    write_report(message, report, tuple(report.phases.values()))
    assert same(report, decode_report(message.SerializeToString()))


class AllSeen(Exception):
    """No field is left to be lost."""


@pytest.mark.parametrize("rpc", QUESTIONS)
@pytest.mark.parametrize("side", ["request", "reply"])
def test_the_law_sees_every_field(rpc, side):
    """A planted fault: each field of the message lost on the way, one after the other, until all were missed."""
    seen: set[str] = set()
    fields = {*(request_class if side == "request" else reply_class)(rpc).DESCRIPTOR.fields_by_name}

    @settings(LAW, max_examples=1000 if rpc == "ExplainGraph" else 25, phases=[Phase.generate])
    @given(st.data())
    def law(data):
        question = data.draw(questions(rpc))
        if side == "request":
            sent, message, decode = question, encode_question(question), decode_question
        else:
            sent = data.draw(answers(question))
            message = reply_of(question, sent)
        for field, _ in message.ListFields():
            lost = through_bytes(message)
            lost.ClearField(field.name)
            try:
                found = decode(rpc, lost, SOURCE) if side == "request" else decode_answer(question, lost, SOURCE)
                noticed = not same(sent, found)
            except InvalidRequest:
                noticed = True
            if noticed:
                seen.add(field.name)
        if seen == fields:
            raise AllSeen

    with contextlib.suppress(AllSeen):
        law()
    assert seen == fields


def test_what_is_not_said_is_the_default():
    request = encode_question(Differentiate(CALL, Jacobian()))
    assert not request.call.HasField("batch")
    assert not request.call.HasField("options")
    request = new_request("Jacobian")
    request.call.graph.digest = GRAPHS[0].digest
    request.call.batch.inputs.append("w")
    request.call.options.executor = "numpy"
    found = understood("Jacobian", request)
    assert found.call.options == Options(executor="numpy")
    assert found.call.options.count_kinks
    assert found.call.batch == Batch(("w",))
    assert found.derivation.mode is Mode.AUTO
    no_kinks = Call(GRAPHS[0], {"w": W}, options=Options(count_kinks=False))
    message = encode_question(Differentiate(no_kinks, Gradient())).call.options
    assert message.HasField("count_kinks")
    assert not message.count_kinks


def test_numbers_that_no_enum_names_are_refused_with_their_fields():
    request = encode_question(Differentiate(Call(GRAPHS[0], {"w": W}, Batch(("w",))), Jacobian(mode=Mode.FORWARD)))
    request.mode = 99
    assert refused("Jacobian", request) == ("mode", "M2")
    request.call.options.placement = 99
    assert refused("Jacobian", request) == ("call.options.placement", "M2")
    request.call.batch.reduction = 99
    assert refused("Jacobian", request) == ("call.batch.reduction", "M2")


def test_numbers_below_zero_and_what_is_missing():
    request = encode_question(Differentiate(CALL, Gradient()))
    request.call.options.inline_limit = -1
    assert refused("Gradient", request) == ("call.options.inline_limit", "M4")
    request = encode_question(Differentiate(CALL, Jvp()))
    assert refused("Jvp", request) == ("tangents", "M5")
    assert refused("ExplainGraph", new_request("ExplainGraph")) == ("question", "M6")


def refused(rpc: str, request: Any) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        decode_question(rpc, request, SOURCE)
    (violation,) = caught.value.violations
    return violation.field, violation.constraint


def test_tensors_without_elements_are_for_explanations_alone():
    explained = Explain(Differentiate(Call(GRAPHS[0], {"w": W}), Jvp(), {"w": W}))
    request = encode_question(explained)
    assert request.WhichOneof("question") == "jvp"
    assert request.jvp.call.arguments["w"].WhichOneof("payload") is None
    found = understood("ExplainGraph", request).question
    assert {**found.call.arguments, **found.vectors} == {"w": GRAPHS[0].input_types["w"]}
    with pytest.raises(InvalidRequest) as caught:
        understood("Jvp", request.jvp)
    assert caught.value.violations[0].field == 'call.arguments["w"]'
    request.jvp.tangents["w"].shape[0] = -1
    assert refused("ExplainGraph", request) == ('tangents["w"].shape', "G8")


def test_elements_are_not_looked_at_where_types_are_enough():
    request = new_request("ExplainGraph")
    request.gradient.CopyFrom(encode_question(Differentiate(CALL, Gradient())))
    request.gradient.call.arguments["w"].blob = "no digest"
    found = understood("ExplainGraph", request).question
    assert found.call.arguments == {"w": GRAPHS[0].input_types["w"]}


def test_arrays_of_answers_can_be_written_to_and_those_of_questions_cannot():
    question = Differentiate(CALL, Gradient())
    assert not asked_again(question).call.arguments["w"].flags.writeable
    reply = new_reply("Gradient")
    (reply.gradients["w"]).CopyFrom(encode_question(question).call.arguments["w"])
    found = decode_answer(question, reply, dataclasses.replace(SOURCE, writable=True))
    found.arrays["gradient"]["w"][0] = 7.0


def test_blobs_that_are_not_here_are_named():
    request = encode_question(Differentiate(CALL, Gradient()))
    request.call.arguments["w"].blob = "0" * 64
    with pytest.raises(BlobNotFound) as caught:
        understood("Gradient", request)
    assert caught.value.digests == ("0" * 64,)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (EstimateTrace(CALL, seed=-1), r"^seed is -1; it must be a whole number from 0 to 2\^64 - 1"),
        (EstimateTrace(CALL, max_probes=1 << 32), "max_probes is 4294967296"),
        (EstimateTrace(CALL, seed=1.5), "seed is 1.5"),  # type: ignore[arg-type]
        (ExpandAlong(CALL, -1), "order is -1"),
        (VerifySymmetry(CALL, pairs=(EntryPair(Entry("w", (1 << 63,)), Entry("w")),)), r"pairs.u.index is 9223372036"),
        (Differentiate(Call(GRAPHS[0], {}, options=Options(inline_limit=-1)), Gradient()), "options.inline_limit is"),
    ],
)
def test_whole_numbers_that_no_message_holds(question, message):
    with pytest.raises(InvalidRequest, match=message):
        require_sayable(question)


@LAW
@given(st.sampled_from(list(QUESTIONS)).flatmap(questions))
def test_whole_numbers_that_messages_hold(question):
    require_sayable(question)


def test_every_method_that_asks_has_a_question():
    """What the protos serve besides is said here; every derivation and estimate can be explained."""
    others = {"RegisterGraph", "GetGraph", "CheckGraph", "FindMissingBlobs", "WriteBlob", "ReadBlob", "StreamGradient"}
    assert METHODS.keys() == QUESTIONS.keys() | others
    fields = METHODS["ExplainGraph"].input_type.oneofs_by_name["question"].fields
    explained = {field.message_type.name.removesuffix("Request") for field in fields if field.message_type}
    derivations = {derivation.__name__ for derivation in DERIVATIONS.values()}
    assert explained == derivations | {kind.rpc for kind in EXPLAINED}


def test_enum_members_without_a_name_are_unspecified():
    question = EstimateTrace(CALL)
    reply = new_reply("EstimateTrace")
    assert decode_answer(question, reply, SOURCE).stop_reason is StopReason.NONE
    assert Options().placement is Placement.AUTO


def test_graphs_that_a_source_lacks():
    graph = parse('graph (%0 "x": f64[]) {\n  return "y" %0\n}', OP_SET)
    request = encode_question(Differentiate(Call(graph, {"x": np.array(1.0)}), Gradient()))
    with pytest.raises(InvalidRequest, match="not known here"):
        decode_question("Gradient", request, Source())


def test_the_comparison_can_fail():
    """Planted faults: values that differ in type, bits or one element."""
    assert not same(np.zeros(2), np.zeros(2, np.float32))
    assert not same(0.0, -0.0)
    assert not same(Options(), Options(count_kinks=False))
    assert ARRAYS is not None
