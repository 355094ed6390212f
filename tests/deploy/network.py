"""Which pod may reach which port: NetworkPolicies, evaluated as Kubernetes defines them.

A connection is let through if the policies of both ends let it. A pod without a policy for a direction is open in that
direction; with one or more, it is open for what at least one of them names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Policy: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod, or with an address alone something outside the cluster's pods."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"
    address: str | None = None


def allowed(policies: Iterable[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether `source` may open a connection to a port of `target`."""
    known = list(policies)
    leaves = _direction(known, "Egress", source, target, port, protocol)
    return leaves and _direction(known, "Ingress", target, source, port, protocol)


def _direction(policies: list[Policy], way: str, subject: Peer, other: Peer, port: int, protocol: str) -> bool:
    rules_at, peers_at = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[way]
    mine = [p for p in policies if way in p["spec"]["policyTypes"] and _is_subject(p, subject)]
    if not mine:
        return True
    return any(
        _ports_fit(rule, port, protocol) and _peers_fit(rule.get(peers_at), other, _namespace(policy))
        for policy in mine
        for rule in policy["spec"].get(rules_at, [])
    )


def _is_subject(policy: Policy, pod: Peer) -> bool:
    if pod.address is not None or pod.namespace != _namespace(policy):
        return False
    return _selects(policy["spec"]["podSelector"], pod.labels)


def _namespace(policy: Policy) -> str:
    return str(policy["metadata"].get("namespace", "default"))


def _ports_fit(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(entry["port"] == port and entry.get("protocol", "TCP") == protocol for entry in ports)


def _peers_fit(peers: list[Mapping[str, Any]] | None, other: Peer, home: str) -> bool:
    return not peers or any(_peer_fits(peer, other, home) for peer in peers)


def _peer_fits(peer: Mapping[str, Any], other: Peer, home: str) -> bool:
    if "ipBlock" in peer:
        return other.address is not None and _within(other.address, peer["ipBlock"])
    if other.address is not None:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != home:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _within(address: str, block: Mapping[str, Any]) -> bool:
    there = ipaddress.ip_address(address)
    return there in ipaddress.ip_network(block["cidr"]) and not any(
        there in ipaddress.ip_network(cidr) for cidr in block.get("except", [])
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(_expression_fits(e, labels) for e in selector.get("matchExpressions", []))


def _expression_fits(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    if operator in {"Exists", "DoesNotExist"}:
        return (key in labels) == bool(operator == "Exists")
    return (labels.get(key) in values) == bool(operator == "In")
