"""`kinky gate`: look at the gate before workloads, open it on evidence, close it by hand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from kinky.cli import options
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.findings import Finding, Severity, get_exit_code
from kinky.progress import note
from kinky.stacks.file import read_stack_file
from kinky.stacks.inner import find_reach, find_store

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig
    from kinky.gate.gate import GateState
    from kinky.kube.inner import InnerApi

PROOF_LIMIT_SECONDS: Final = 300.0
"""External Secrets runs already when a person asks; `up` has to wait for its start as well."""
CLOSED_MEANS: Final = (
    "from now on no pod outside kube-system and kinky-system is created or bound to a node. Pods that run go on,\n"
    "and a pod that ends is not replaced. pulumi up leaves it so; kinky gate open proves the secrets store and opens it"
)

SHOWN: Final = ", findings (code, severity, subject, seen, hint), tainted_nodes"
"""The part of the JSON that only `show` prints."""


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky gate`."""
    parser = options.command_parser(command, description="No workload runs before the secrets store was proved.")
    actions = options.add_actions(parser)
    helps = {
        "show": "print whether the gate is open, since when, on what evidence, and whether the store works now",
        "open": "collect the evidence now, and open the gate if it holds",
        "close": "refuse new pods until it is opened again; what runs goes on",
    }
    runs = {"show": run_show, "open": run_open, "close": run_close}
    for action, text in helps.items():
        sub = options.add_action(actions, action, text)
        options.add_stack(sub)
        options.add_json(sub, f"state, since, reason, evidence{SHOWN if action == 'show' else ''}")
        options.set_run(sub, runs[action], judges=action == "show")
    return parser


def run_show(arguments: argparse.Namespace) -> int:
    """Print the state and the findings; the exit code is that of the worst finding."""
    from kinky.gate.gate import check_state, fetch_state, fetch_tainted
    from kinky.gate.proof import check_proved
    from kinky.gate.wall import check_wall
    from kinky.manifests import secrets_store

    stack_file = read_stack_file(arguments.stack)
    reach = find_reach(stack_file)
    inner = reach.inner()
    state, tainted = fetch_state(inner), fetch_tainted(inner)
    findings = [*check_state(state), *check_wall(inner)]
    if state.is_latched:
        # Before the first proof there is no store to look at.
        findings += check_proved(inner, secrets_store.STORE, find_store(stack_file, reach))
    findings += _check_token(stack_file.config, inner)
    if arguments.json:
        print(options.to_json({**asdict(state), "findings": list(map(asdict, findings)), "tainted_nodes": tainted}))
    else:
        print(describe(state, findings=findings, tainted=tainted))
    return get_exit_code(findings)


def run_open(arguments: argparse.Namespace) -> int:
    """Prove the store now and open the gate."""
    from kinky.gate.gate import open_gate
    from kinky.gate.proof import ProofSpec
    from kinky.manifests import secrets_store

    stack_file = read_stack_file(arguments.stack)
    reach = find_reach(stack_file)
    config = stack_file.config
    proof = ProofSpec(
        store=secrets_store.STORE,
        source=find_store(stack_file, reach),
        probes=secrets_store.build_probes(config),
    )
    limit = config.timeouts.seconds(PROOF_LIMIT_SECONDS)
    state = open_gate(reach, proof, limit_seconds=limit, by_hand=True)
    print(options.to_json(asdict(state)) if arguments.json else describe(state))
    return 0


def run_close(arguments: argparse.Namespace) -> int:
    """Close the gate and say what that means."""
    from kinky.gate.gate import close_gate

    stack_file = read_stack_file(arguments.stack)
    reach = find_reach(stack_file)
    state = close_gate(reach)
    print(options.to_json(asdict(state)) if arguments.json else describe(state))
    note(CLOSED_MEANS)
    return 0


def _check_token(config: KinkyConfig, inner: InnerApi) -> list[Finding]:
    """Find a token that works now and will not for ever."""
    from kinky.stores.secrets_store import fetch_store_token, is_token_renewal_due

    if config.secrets_store.kind != HOST_NAMESPACE:
        return []
    token = fetch_store_token(inner)
    if token is None or not is_token_renewal_due(token.expires_at, config.secrets_store.token_hours):
        return []
    return [
        Finding(
            code="store.token-due",
            severity=Severity.WARNING,
            subject="the store's token",
            seen="is past half of its life",
            hint="the next kinky up renews it",
        )
    ]


def describe(state: GateState, *, findings: Sequence[Finding] = (), tainted: Sequence[str] = ()) -> str:
    """Return the state as text: one line, the findings, the evidence as a table."""
    since = f" since {state.since}" if state.since else ""
    lines = [f"{state.state}{since}: {state.reason}", *map(str, findings)]
    lines += [f"nodes that take no workload yet: {', '.join(tainted)}"] if tainted else []
    if state.evidence is not None:
        rows = [("ITEM", "SEEN AT", "WHAT"), *((item.item, item.seen_at, item.what) for item in state.evidence.items)]
        lines.append(options.to_table(rows))
    return "\n".join(lines)
