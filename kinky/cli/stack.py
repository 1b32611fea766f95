"""`kinky up`, `preview`, `destroy` and `outputs`: a stack through Pulumi, with the same program as `pulumi up`."""

from __future__ import annotations

import argparse
from typing import Any, Final

from kinky import paths
from kinky.accelerator import Accelerator
from kinky.cli import options
from kinky.errors import KinkyError
from kinky.progress import note
from kinky.stacks.file import StackFile, read_stack_file

ACCELERATORS: Final = ("auto", Accelerator.KVM.value, Accelerator.EMULATION.value, Accelerator.CONTAINER.value)
DESCRIPTIONS: Final = {
    "up": "Create or update a stack. Ctrl-C lets Pulumi finish what runs; up or destroy can go on afterwards.",
    "preview": "Show what up would change, without touching anything.",
    "destroy": "Remove everything that a stack made on the host, also when it is half made or its inner cluster dead.",
    "outputs": "Print the outputs of a stack.",
}

OUTPUTS: Final = "the outputs by name"
SHAPES: Final = {
    "up": OUTPUTS,
    "preview": "how many steps of each kind there are",
    "outputs": f"{OUTPUTS}, or one value",
}


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one of the four commands."""
    parser = options.command_parser(command, description=DESCRIPTIONS[command])
    options.add_stack(parser)
    if command != "destroy":
        options.add_json(parser, SHAPES[command])
    if command != "outputs":
        parser.add_argument(
            "--verbose", action="store_true", help="print Pulumi's own lines instead of one for each change"
        )
    if command == "up":
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="take the cluster over because its state is lost; the old state cannot change it afterwards",
        )
        parser.add_argument(
            "--accelerator",
            choices=ACCELERATORS,
            help="write host.accelerator into the stack's file first, as pulumi config set does",
        )
        parser.add_argument(
            "--ttl",
            help="write cluster.lease.ttl into the stack's file first: the host removes the cluster after this time, "
            "from 5m to 7d, such as 90m, 2h or 1d, unless its lease is renewed",
        )
    if command == "preview":
        parser.add_argument("--expect-no-changes", action="store_true", help="fail if up would change anything")
    if command == "outputs":
        parser.add_argument("name", nargs="?", help="print only this output")
    runs = {"up": run_up, "preview": run_preview, "destroy": run_destroy, "outputs": run_outputs}
    options.set_run(parser, runs[command])
    return parser


def run_up(arguments: argparse.Namespace) -> int:
    """Create or update the stack and tell how to use it."""
    from kinky.cli.why import tell_why
    from kinky.stacks.engine import open_engine
    from kinky.stacks.lease import drop_ended, require_lease

    given = {"host.accelerator": arguments.accelerator, "cluster.lease.ttl": arguments.ttl}
    given = {key: value for key, value in given.items() if value is not None}
    stack_file = read_stack_file(arguments.stack, given=given)
    engine = open_engine(stack_file, take_over=arguments.take_over, verbose=arguments.verbose)
    if not drop_ended(stack_file, engine) and arguments.ttl is not None:
        require_lease(engine)
    for key, value in given.items():
        engine.keep_setting(key=key, value=value)
        note(f"{stack_file.path.name}: {key} is {value}, for later commands too")
    try:
        engine.up()
    except KinkyError:
        tell_why(stack_file)
        raise
    outputs = engine.outputs()
    if arguments.json:
        print(options.to_json(outputs))
    _tell_pending(stack_file)
    _tell_use(stack_file, outputs)
    return 0


def run_preview(arguments: argparse.Namespace) -> int:
    """Show the plan; with --json, print how often each kind of step stands in it."""
    from kinky.stacks.engine import open_engine

    stack_file = read_stack_file(arguments.stack)
    engine = open_engine(stack_file, verbose=arguments.verbose)
    steps = engine.preview(expect_no_changes=arguments.expect_no_changes)
    if arguments.json:
        print(options.to_json(steps))
    return 0


def run_destroy(arguments: argparse.Namespace) -> int:
    """Remove what the stack made; a stack that was never made is not an error."""
    stack_file = read_stack_file(arguments.stack)
    destroy(stack_file, verbose=arguments.verbose)
    return 0


def destroy(stack_file: StackFile, *, verbose: bool = False) -> None:
    """Destroy a stack if it exists; raises KinkyError before anything is touched when its host is another one."""
    from kinky.reach.reach import Reach
    from kinky.stacks.engine import open_engine
    from kinky.stacks.lease import drop_ended

    engine = open_engine(stack_file, verbose=verbose)
    if not engine.exists():
        note(f"stack {stack_file.stack} does not exist: nothing to destroy")
        return
    if drop_ended(stack_file, engine):
        return
    made = engine.find_made()
    if made is not None:
        # Plain `pulumi destroy` checks too, but for a half-made stack only after its first deletions.
        Reach(made).host().require_host()
    engine.destroy()


def run_outputs(arguments: argparse.Namespace) -> int:
    """Print all outputs, or one."""
    from kinky.stacks.engine import open_engine

    stack_file = read_stack_file(arguments.stack)
    engine = open_engine(stack_file)
    if not engine.exists():
        raise KinkyError(
            f'stack "{stack_file.stack}" does not exist', hint=f"make it: kinky up --stack {stack_file.stack}"
        )
    outputs = engine.outputs()
    if arguments.name is None:
        print(options.to_json(outputs) if arguments.json else _as_lines(outputs))
        return 0
    if arguments.name not in outputs:
        raise KinkyError(
            f'stack "{stack_file.stack}": no output "{arguments.name}"',
            hint=f"there are: {', '.join(outputs) or 'none'}",
        )
    value = outputs[arguments.name]
    print(value if isinstance(value, str) and not arguments.json else options.to_json(value))
    return 0


def _as_lines(outputs: dict[str, Any]) -> str:
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else options.to_json(value)}" for name, value in outputs.items()
    )


def _tell_pending(stack_file: StackFile) -> None:
    """List the nodes that still run with an older declaration; a host that fails now does not undo the `up`."""
    from kinky.forming.pending import describe_pending
    from kinky.stacks.inner import find_reach

    try:
        lines = describe_pending(find_reach(stack_file).host())
    except KinkyError as error:
        lines = [f"cannot tell whether a node waits for a restart: {error.message}"]
    for line in lines:
        note(line)


def _tell_use(stack_file: StackFile, outputs: dict[str, Any]) -> None:
    """Say where the inner cluster is and which two commands come next."""
    if "endpoint" in outputs:
        note(f"inner cluster {stack_file.cluster}: {outputs['endpoint']}")
    command = ".venv/bin/kinky" if paths.is_checkout() else "kinky"
    note(f'use it:     eval "$({command} env --stack {stack_file.stack})" && kubectl get nodes,pods -A')
    note(f"remove it:  pulumi destroy, or {command} destroy --stack {stack_file.stack}")
