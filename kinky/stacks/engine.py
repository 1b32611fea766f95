"""One stack driven through Pulumi's Automation API on the project directory: the program that `pulumi up` runs."""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from pulumi import automation
from pulumi._version import version as SDK_VERSION
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import CommandError as EngineError

from kinky import paths
from kinky.components.steps.identity import ClusterIdentity, read_identity
from kinky.config.backend import parse_backend
from kinky.config.load import NAMESPACE
from kinky.errors import KinkyError
from kinky.kube.access import HostAccess
from kinky.ownership.record import TAKE_OVER
from kinky.progress import phase
from kinky.scan.clean import clean_urls
from kinky.stacks import inline
from kinky.stacks.changes import split_hint, telling
from kinky.stacks.environment import PROJECT, PULUMI_PROGRAMS, build_environment, build_search_path
from kinky.stacks.file import StackFile
from kinky.stacks.interrupt import deferred_interrupts
from kinky.stacks.leftovers import remove_copies, remove_leftovers
from kinky.topology.nodes import build_nodes

# The Automation API would print a whole event, or that the stream of a killed Pulumi has ended.
warnings.filterwarnings("ignore", module=re.escape(automation.Stack.__module__))

MISFIT = "incorrect passphrase"
"""Pulumi's message when the passphrase does not open the salt in the stack's file."""

IDENTITY_TYPE = f":{ClusterIdentity.__name__}"

HEAP_PERCENT = "400"
"""How much Pulumi's heap grows before it is swept: with Go's 100, the sweeps take a second of a preview."""

ABOVE: Final = "the lines above have the reason"

OnEvent: TypeAlias = Callable[[automation.EngineEvent], None]
T = TypeVar("T")


class OwnCommand(automation.PulumiCommand):
    """The pulumi that the toolchain found or made; Pulumi's class would start it only to ask for its version."""

    def __init__(self, program: Path) -> None:
        """Take the version of the package, because the toolchain takes no other one."""
        self.command = str(program)
        self.version = SDK_VERSION


class OwnStack(automation.Stack):
    """One stack; what Pulumi's class asks for after each operation, and nobody here reads, is not asked for."""

    def info(self, show_secrets: bool | None = None) -> automation.UpdateSummary:
        """Return an empty summary."""
        return automation.UpdateSummary("", datetime.datetime.min, "", {}, {}, "")

    def outputs(self) -> automation.OutputMap:
        """Return nothing: `StackEngine.outputs` fetches them."""
        return {}


class OwnWorkspace(automation.LocalWorkspace):
    """The project directory; Pulumi is not started to select a stack that is there.

    Nothing needs the selection, because each command names its stack.
    """

    def select_stack(self, stack_name: str) -> None:
        """Make sure that the stack exists.

        Raises:
            StackNotFoundError: It does not.
        """
        backend = parse_backend(str(self.env_vars["PULUMI_BACKEND_URL"]))
        if backend.find_state(PROJECT, stack_name) is None:
            super().select_stack(stack_name)


class StackEngine:
    """Runs Pulumi operations on one stack, and tells on standard error what they change."""

    def __init__(self, stack_file: StackFile, *, workspace: automation.LocalWorkspace, verbose: bool = False) -> None:
        """Keep the workspace; `open_engine` makes one.

        Args:
            verbose: Whether Pulumi's own lines are printed, as they come, instead of ours.
        """
        self._file = stack_file
        self._workspace = workspace
        self._verbose = verbose

    def exists(self) -> bool:
        """Tell whether the backend knows the stack."""

        def look() -> bool:
            try:
                self._open(StackInitMode.SELECT)
            except automation.StackNotFoundError:
                return False
            return True

        return self._guard("stack select", look)

    def ensure(self) -> automation.Stack:
        """Make the stack if the backend does not know it, without touching its host."""
        return self._guard("stack init", lambda: self._open(StackInitMode.CREATE_OR_SELECT))

    def up(self, *, on_event: OnEvent | None = None) -> None:
        """Create or update the stack; `on_event` gets each of Pulumi's engine events as it happens."""
        stack = self.ensure()
        self._operate("up", partial(self._run_program, stack.up), on_event=on_event)

    def keep_setting(self, *, key: str, value: str) -> None:
        """Write one setting into the stack's file, where all later commands read it; comments in the file stay.

        Args:
            key: Section and key without prefix, such as `host.accelerator`.
        """
        stack = self.ensure()
        self._guard(
            "config set", lambda: stack.set_config(f"{NAMESPACE}{key}", automation.ConfigValue(value), path=True)
        )

    def preview(self, *, expect_no_changes: bool) -> dict[str, int]:
        """Show what `up` would do; return how often each kind of step stands in the plan."""
        stack = self.ensure()
        run = partial(self._run_program, stack.preview, expect_no_changes=expect_no_changes)
        result = self._operate("preview", run)
        return {str(getattr(step, "value", step)): count for step, count in result.change_summary.items()}

    def destroy(self) -> None:
        """Remove everything that the stack made; the stack itself stays, with its history."""
        self._operate("destroy", self._select().destroy)

    def outputs(self) -> dict[str, Any]:
        """Return the outputs; a secret one shows as [secret]."""
        self._select()
        command = ["stack", "output", "--json", "--stack", self._file.stack]
        workspace = self._workspace
        found = self._guard(
            "stack output", lambda: workspace.pulumi_command.run(command, workspace.work_dir, workspace.env_vars)
        )
        return dict(sorted(json.loads(found.stdout).items()))

    def find_made(self) -> HostAccess | None:
        """Return the cluster and the host of the state; None when nothing was made."""
        stack = self._select()
        exported = self._guard("stack export", stack.export_stack).deployment or {}
        made = (each["outputs"] for each in exported.get("resources") or [] if each["type"].endswith(IDENTITY_TYPE))
        outputs = next(made, None)
        return None if outputs is None else read_identity(outputs)

    def forget(self, *, with_copies: bool) -> None:
        """Drop the stack and its state, whatever it still lists; its host must be gone, so nothing is orphaned.

        Args:
            with_copies: Whether the copies go too that Pulumi keeps of the state.
        """
        name = self._file.stack
        self._guard("stack rm", lambda: self._workspace.remove_stack(name, force=True, preserve_config=True))
        if with_copies:
            remove_copies(str(self._workspace.env_vars["PULUMI_BACKEND_URL"]), project=PROJECT, stack=name)

    def _select(self) -> automation.Stack:
        return self._guard("stack select", lambda: self._open(StackInitMode.SELECT))

    def _open(self, mode: StackInitMode) -> automation.Stack:
        return OwnStack(self._file.stack, self._workspace, mode)

    def _run_program(self, operation: Callable[..., T], **options: Any) -> T:
        """Run an operation of Pulumi that asks the program, which lives in this process."""
        with inline.prepared(self._workspace.env_vars):
            return operation(program=inline.run_program, **options)

    def _operate(self, name: str, run: Callable[..., T], *, on_event: OnEvent | None = None) -> T:
        """Run an operation that changes resources or shows what would change, and tell each change once."""
        title = f"stack {self._file.stack}: pulumi {name}"
        if self._verbose:
            with phase(title):
                work = partial(run, on_output=_pass_on, on_error=_pass_on, on_event=on_event, color=_color())
                return self._guard(name, work, explain=lambda _: [ABOVE])
        nodes = [node.name for node in build_nodes(self._file.config)]
        with telling(title, nodes, planned=name == "preview") as changes:

            def see(event: automation.EngineEvent) -> None:
                changes.see(event)
                if on_event is not None:
                    on_event(event)

            work = partial(run, on_error=changes.hear, on_event=see, color="never")
            return self._guard(name, work, explain=lambda _: changes.describe_failures())

    def _guard(
        self,
        operation: str,
        work: Callable[[], T],
        *,
        explain: Callable[[EngineError], Sequence[str]] = lambda error: [str(error)],
    ) -> T:
        """Run one operation; `explain` returns what Pulumi said when it failed."""
        backend = str(self._workspace.env_vars["PULUMI_BACKEND_URL"])
        remove_leftovers(backend, project=PROJECT, stack=self._file.stack)
        with deferred_interrupts():
            try:
                return work()
            except EngineError as error:
                if MISFIT in str(error):
                    raise self._passphrase_error() from None
                # The URL of a backend may hold a password.
                said = [clean_urls(text) for text in explain(error)]
                details, hint = split_hint(said)
                failed = f'stack "{self._file.stack}": pulumi {operation} failed'
                raise KinkyError(failed, details=details, hint=hint) from None

    def _passphrase_error(self) -> KinkyError:
        """Say which of the two must change; Pulumi looks at the passphrase first, so nothing was touched."""
        file = self._file.path.relative_to(paths.project_root())
        return KinkyError(
            f'stack "{self._file.stack}": the passphrase is not the one that the stack was made with',
            details=[f"encryptionsalt in {file} belongs to another one; nothing was touched"],
            hint="give the first passphrase again; if the stack's state is gone, remove the line encryptionsalt",
        )


def open_engine(stack_file: StackFile, *, take_over: bool = False, verbose: bool = False) -> StackEngine:
    """Put the programs that Pulumi needs on PATH, and return the engine for a stack.

    Args:
        take_over: Whether an `up` takes the cluster from another state.
        verbose: Whether Pulumi's own lines are printed instead of ours.
    """
    from kinky.toolchain.tools import ensure_tools

    # First what may be refused, then what may take minutes to build.
    environment = build_environment(stack_file, environ=os.environ)
    environment |= {TAKE_OVER: stack_file.cluster} if take_over else {}
    tools = ensure_tools(PULUMI_PROGRAMS)
    workspace = OwnWorkspace(
        work_dir=str(paths.project_root()),
        env_vars={
            "GOGC": os.environ.get("GOGC", HEAP_PERCENT),
            **environment,
            "PATH": build_search_path(tools.values(), environ=os.environ),
        },
        pulumi_command=OwnCommand(tools["pulumi"]),
    )
    return StackEngine(stack_file, workspace=workspace, verbose=verbose)


def _pass_on(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _color() -> str:
    return "always" if sys.stderr.isatty() else "never"
