"""The variables under which Pulumi, kubectl and kinky see one stack, for this program and for the admin's shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.config.backend import choose_backend
from kinky.config.problem import refuse
from kinky.config.secrets_provider import check_state_provider
from kinky.given_paths import resolve_variables
from kinky.proxies import exempt_loopback
from kinky.stacks.file import StackFile
from kinky.stacks.passphrase import ensure_passphrase
from kinky.stacks.pulumi_home import ensure_home

PROJECT: Final = "kinky"
"""Name in Pulumi.yaml; state and locks are filed under it."""
PULUMI_PROGRAMS: Final = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-resource-pulumi-python",
    "pulumi-resource-kubernetes",
    "kubectl",
)
"""Programs that a run needs on PATH: the engine, the launchers of its Python parts, the provider, the forward."""


def build_environment(stack_file: StackFile, *, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a run of the program on this stack, except PATH.

    A backend or passphrase that the admin has set stays, and so does KUBECONFIG. The program reads it to find the host,
    and only `kinky env` points it at the inner cluster. Paths become absolute, because Pulumi and its programs run in
    other folders.
    """
    backend = choose_backend(environ, own=paths.pulumi_backend_dir(), project=paths.project_root()).url
    given = resolve_variables(environ)
    environ = {**environ, **given}
    written = check_state_provider(backend, project=PROJECT, stack=stack_file.stack)
    refuse(written, source=str(stack_file.path.relative_to(paths.project_root())))
    return {
        **given,
        # Pulumi's parts talk to each other over this machine's own address.
        **exempt_loopback(environ),
        "PULUMI_STACK": stack_file.stack,
        **ensure_home(environ.get("PULUMI_HOME")),
        "PULUMI_BACKEND_URL": backend,
        **ensure_passphrase(
            stack_file.stack,
            embedded=stack_file.embedded,
            secrets_provider=stack_file.secrets_provider,
            backend=backend,
            environ=environ,
        ),
        # An f-string over an Output raises instead of writing a help text into the value.
        "PULUMI_ERROR_OUTPUT_STRING": "1",
        # Everything that Pulumi runs is resolved by the toolchain; it must not look for more on the network.
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # The launchers run the program with the interpreter that has its packages.
        "KINKY_PYTHON": sys.executable,
    }


def build_search_path(tools: Iterable[Path], *, environ: Mapping[str, str]) -> str:
    """Return PATH with the virtual environment and the tools' folders in front, each folder once."""
    own = [str(Path(sys.executable).parent), *(str(tool.parent) for tool in tools)]
    return os.pathsep.join(dict.fromkeys([*own, *environ.get("PATH", os.defpath).split(os.pathsep)]))
