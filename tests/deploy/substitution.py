"""What Grafana puts in place of variables."""

from __future__ import annotations

VALUES = {
    "$namespace": ".*",  # what `All` stands for
    "$pod": ".*",
    "$method": "DerivativeService/Gradient",
    "$__rate_interval": "1m",
}


def substituted(expr: str, **values: str) -> str:
    """An expression without variables; `values` go before those that Grafana begins with."""
    for name, value in {**VALUES, **{f"${name}": value for name, value in values.items()}}.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, f"an unknown variable in {expr}"
    return expr
