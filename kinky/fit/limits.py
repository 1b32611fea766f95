"""Whether the limit ranges of the namespace allow launcher pods and claims.

The rules are those of plugin/pkg/admission/limitranger of Kubernetes 1.36.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kinky.fit.launcher import CPU, MEMORY, MIB, Amounts, Container, Launcher, format_amount
from kinky.kube.connection import JsonObject
from kinky.kube.quantities import parse_quantity

STORAGE_ITEM = "storage"
SLACK = {MEMORY: Decimal(1024 * MIB), CPU: Decimal(1)}
"""How much more a launcher may request than this module knows; a minimum above that is refused."""


@dataclass(frozen=True)
class _Rule:
    """One item of a limit range."""

    source: str
    kind: str
    default: Amounts
    default_request: Amounts
    least: Amounts
    most: Amounts
    ratio: Amounts

    @classmethod
    def parse(cls, body: JsonObject, item: JsonObject) -> "_Rule":
        """Parse one item of a LimitRange as the API returned it, with its defaults filled in."""
        return cls(
            source=f"limit range {body['metadata']['name']}",
            kind=str(item.get("type", "")),
            default=_parse(item.get("default")),
            default_request=_parse(item.get("defaultRequest")),
            least=_parse(item.get("min")),
            most=_parse(item.get("max")),
            ratio=_parse(item.get("maxLimitRequestRatio")),
        )


def check_limit_ranges(
    ranges: Sequence[JsonObject], launchers: Sequence[Launcher], claims: Mapping[str, Decimal]
) -> list[str]:
    """Compare limit ranges with the pods and claims that do not exist yet; returns problems.

    Args:
        claims: Size in bytes of each claim, by its node's name.
    """
    rules = [_Rule.parse(body, item) for body in ranges for item in (body.get("spec") or {}).get("limits") or []]
    problems: dict[str, list[str]] = {}
    for launcher in launchers:
        for text in _check_launcher(rules, launcher):
            problems.setdefault(text, []).append(launcher.node)
    for node, size in claims.items():
        for rule in rules:
            if rule.kind == "PersistentVolumeClaim":
                asked = Container("claim", {STORAGE_ITEM: size}, {STORAGE_ITEM: size})
                for text in _check_bounds(rule, asked):
                    problems.setdefault(text, []).append(node)
    # Nodes of one pool have the same problems.
    return [
        f"{text} ({nodes[0]}{f' and {len(nodes) - 1} more' if nodes[1:] else ''})" for text, nodes in problems.items()
    ]


def _check_launcher(rules: Sequence[_Rule], launcher: Launcher) -> Iterator[str]:
    """Yield why one launcher is refused."""
    for container in launcher.containers:
        filled = _fill(rules, container)
        for item in filled.requests.keys() & filled.limits.keys():
            if filled.requests[item] > filled.limits[item]:
                source = next(rule.source for rule in rules if item in rule.default)
                most, asked = (format_amount(item, each[item]) for each in (filled.limits, filled.requests))
                yield f"{source}: container {container.name} gets the limit {most} of {item}, and asks for {asked}"
                break
        else:
            for rule in rules:
                if rule.kind == "Container":
                    yield from _check_bounds(rule, filled)
    whole = Launcher(
        launcher.node,
        _fill(rules, launcher.compute),
        tuple(_fill(rules, each) for each in launcher.others),
        (),
    ).total
    for rule in rules:
        if rule.kind == "Pod":
            yield from _check_bounds(rule, whole)


def _fill(rules: Sequence[_Rule], container: Container) -> Container:
    """Add the defaults of a container's limits and requests, as the API does before it checks them."""
    requests, limits = dict(container.requests), dict(container.limits)
    for rule in rules:
        if rule.kind == "Container":
            limits = {**rule.default, **limits}
            requests = {**rule.default_request, **requests}
    return Container(container.name, requests, limits)


def _check_bounds(rule: _Rule, asked: Container) -> Iterator[str]:
    """Yield where requests and limits are out of one rule's bounds."""
    slack = SLACK if asked.name in ("compute", "pod") else {}
    where = asked.name if asked.name in ("pod", "claim") else f"container {asked.name}"
    for item, least in rule.least.items():
        amount = asked.requests.get(item)
        if amount is None or amount + slack.get(item, 0) < least:
            bound = f"at least {_tell(item, least)} is allowed"
            yield f"{rule.source}: {where} asks for {_tell(item, amount)} of {item}, {bound}"
    for item, most in rule.most.items():
        bound = f"at most {_tell(item, most)} is allowed"
        amount = max((each[item] for each in (asked.requests, asked.limits) if item in each), default=None)
        if item not in asked.limits:
            yield f"{rule.source}: {where} has no limit of {item}, {bound}"
        elif amount is not None and amount > most:
            yield f"{rule.source}: {where} needs {_tell(item, amount)} of {item}, {bound}"
    for item, ratio in rule.ratio.items():
        request, limit = asked.requests.get(item), asked.limits.get(item)
        if not request or not limit:
            yield f"{rule.source}: {where} has no limit of {item}, which may be at most {ratio:f} times the request"
        elif limit / request > ratio:
            text = (
                f"the limit of {item} is {float(limit / request):.4g} times the request, at most {ratio:f} is allowed"
            )
            yield f"{rule.source}: {where}: {text}"


def _tell(item: str, amount: Decimal | None) -> str:
    return "nothing" if amount is None else format_amount(item, amount)


def _parse(amounts: JsonObject | None) -> dict[str, Decimal]:
    return {item: parse_quantity(str(text)) for item, text in (amounts or {}).items()}
