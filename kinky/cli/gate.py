"""`kinky gate`: look at the gate before workloads, open it on evidence, close it by hand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from kinky.cli import options
from kinky.cli.inner import find_reach, find_store
from kinky.cli.stack_file import read_stack_file
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.progress import note

if TYPE_CHECKING:
    from kinky.bootstrap.gate import GateState
    from kinky.config.model import KinkyConfig
    from kinky.kube.inner import InnerApi

PROOF_LIMIT_SECONDS: Final = 300.0
"""External Secrets runs already when a person asks; `up` has to wait for its start as well."""
CLOSED_MEANS: Final = (
    "from now on no pod outside kube-system and kinky-system is created or bound to a node. Pods that run go on,\n"
    "and a pod that ends is not replaced. pulumi up leaves it so; kinky gate open proves the secrets store and opens it"
)

STORE_MEANS: Final = "pods go on with what was read before"
TOKEN_DUE: Final = "the store's token is past half of its life; the next kinky up renews it"  # noqa: S105 - a sentence


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky gate`."""
    parser = options.command_parser(command, description="No workload runs before the secrets store was proved.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    helps = {
        "show": "print whether the gate is open, since when, on what evidence, and whether the store works now",
        "open": "collect the evidence now, and open the gate if it holds",
        "close": "refuse new pods until it is opened again; what runs goes on",
    }
    runs = {"show": run_show, "open": run_open, "close": run_close}
    for action, text in helps.items():
        sub = actions.add_parser(action, help=text, description=text.capitalize() + ".", allow_abbrev=False)
        options.add_stack(sub)
        if action == "show":
            options.add_json(sub)
        options.set_run(sub, runs[action])
    return parser


def run_show(arguments: argparse.Namespace) -> int:
    """Print the state; the exit code is 1 when it is closed, the wall has a hole, or the store does not work now."""
    from kinky.bootstrap.gate import fetch_state, fetch_tainted
    from kinky.bootstrap.store_proof import fetch_store_faults
    from kinky.bootstrap.wall import fetch_faults
    from kinky.manifests import secrets_store

    stack_file = read_stack_file(arguments.stack)
    reach = find_reach(stack_file)
    inner = reach.inner()
    state, faults, tainted = fetch_state(inner), fetch_faults(inner), fetch_tainted(inner)
    # A closed gate has its own reason, and before the first proof there is no store to look at.
    source = find_store(stack_file, reach)
    store_faults = fetch_store_faults(inner, secrets_store.STORE, source) if state.is_latched else []
    warnings = _find_warnings(stack_file.config, inner)
    if arguments.json:
        found = {"faults": faults, "store_faults": store_faults, "warnings": warnings, "tainted_nodes": tainted}
        print(options.to_json({**asdict(state), **found}))
    else:
        print(describe(state, faults=faults, tainted=tainted, store_faults=store_faults, warnings=warnings))
    return 0 if state.is_latched and not faults and not store_faults else 1


def run_open(arguments: argparse.Namespace) -> int:
    """Prove the store now and open the gate."""
    from kinky.bootstrap.gate import open_gate
    from kinky.bootstrap.store_proof import ProofSpec
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
    print(describe(state, faults=[], tainted=[]))
    return 0


def run_close(arguments: argparse.Namespace) -> int:
    """Close the gate and say what that means."""
    from kinky.bootstrap.gate import close_gate

    stack_file = read_stack_file(arguments.stack)
    reach = find_reach(stack_file)
    state = close_gate(reach)
    print(describe(state, faults=[], tainted=[]))
    note(CLOSED_MEANS)
    return 0


def _find_warnings(config: KinkyConfig, inner: InnerApi) -> list[str]:
    """Find what works now and will not for ever."""
    from kinky.bootstrap.secrets_store import fetch_store_token, is_token_renewal_due

    if config.secrets_store.kind != HOST_NAMESPACE:
        return []
    token = fetch_store_token(inner)
    return [TOKEN_DUE] if token and is_token_renewal_due(token.expires_at, config.secrets_store.token_hours) else []


def describe(
    state: GateState,
    *,
    faults: list[str],
    tainted: list[str],
    store_faults: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Return the state as text: one line, what is wrong, the evidence as a table."""
    since = f" since {state.since}" if state.since else ""
    lines = [f"{state.state}{since}: {state.reason}"]
    lines += [f"CRITICAL: {fault}; kinky gate open makes it again" for fault in faults]
    lines += [f"CRITICAL: the secrets store: {fault}; {STORE_MEANS}" for fault in store_faults]
    if state.state == "open" and state.evidence is None:
        lines.append("CRITICAL: it was opened without evidence; kinky gate open proves the secrets store")
    lines += [f"WARNING: {warning}" for warning in warnings]
    lines += [f"nodes that take no workload yet: {', '.join(tainted)}"] if tainted else []
    if state.evidence is not None:
        rows = [("ITEM", "SEEN AT", "WHAT"), *((item.item, item.seen_at, item.what) for item in state.evidence.items)]
        lines.append(options.to_table(rows))
    return "\n".join(lines)
