"""The reading of expressions that the other tests rely on."""

import pytest

from tests.deploy.known_metrics import known, unknown
from tests.deploy.promql import building_blocks, selectors

pytestmark = pytest.mark.deploy


def found(expr):
    return [(s.metric, sorted(s.labels)) for s in selectors(expr)]


def test_selectors_are_told_from_functions_labels_and_numbers():
    expr = 'sum by (le, a) (rate(m_total{x="y",z=~"a|b{}"}[5m])) / on () group_left () (n:m:rate5m > 14.4 * 0.001)'
    assert found(expr) == [("m_total", ["x", "z"]), ("n:m:rate5m", [])]


def test_operators_modifiers_and_strings_are_no_metrics():
    expr = (
        'label_replace(m offset 5m, "class", "$1", "method", "(.*)") unless on (a) max_over_time(n[1h:5m]) == bool 2e3'
    )
    assert found(expr) == [("m", []), ("n", [])]


def test_a_selector_may_have_no_name():
    assert found('{__name__=~"a.+"}') == [("", ["__name__"])]


@pytest.mark.parametrize(
    ("expr", "blocks"),
    [
        ("m > 14.4 * 0.001", ["m"]),
        ("a >= 1 and b < c", ["a", "b", "c"]),
        ('sum(a{x="> 1"}) - b > 0', ['sum(a{x="> 1"}) - b']),
        ("(a unless on (x) b == 1) or on () absent(c == 1)", ["a", "b", "c"]),
        ("a / (b > 0)", ["a / (b > 0)"]),
        ("(a) / (b)", ["(a) / (b)"]),
    ],
)
def test_building_blocks(expr, blocks):
    assert building_blocks(expr) == blocks


def test_what_there_is_includes_the_service_ray_and_recordings():
    assert known()["gradserve_calls_total"] == {"method", "code", "job", "namespace", "pod"}
    assert "le" in known()["gradserve_batch_size_bucket"]
    assert {"Source", "State"} <= known()["ray_actors"]
    assert known()["namespace_class:gradserve_call_seconds:mean_rate5m"] == {"namespace", "class"}
    assert {"process_resident_memory_bytes", "gradserve_workers_lost_total", "up"} <= set(known())


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        ("rate(gradserve_call_total[5m])", "gradserve_call_total: there is no such metric"),
        ('gradserve_workers{pools="cluster"}', 'gradserve_workers{pools="cluster"}: no label pools'),
        ('ray_actors{state="ALIVE"}', 'ray_actors{state="ALIVE"}: no label state'),
        ("gradserve_batch_size", "gradserve_batch_size: there is no such metric"),
    ],
)
def test_what_there_is_not_is_found_out(planted, complaint):
    assert unknown(planted) == [complaint]
