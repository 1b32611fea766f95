"""The whole system on one screen: configuration -> checks -> what the host says -> one `InnerCluster` -> exports."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pulumi
from pulumi.runtime import config as pulumi_config

from kinky import paths
from kinky.artefacts.registry import read_small_layers
from kinky.components.cluster_args import InnerClusterArgs
from kinky.components.inner_cluster import InnerCluster
from kinky.components.told import told_by_pulumi
from kinky.config.archive import check_archive, find_archive
from kinky.config.ca_bundle import check_ca
from kinky.config.check import warn_config
from kinky.config.load import decode_values, load_config
from kinky.config.problem import refuse
from kinky.errors import KinkyError
from kinky.fit.fit import check_fit
from kinky.forming.pending import describe_pending
from kinky.nodeimage.build import current_node_image
from kinky.nodeimage.index import find_record
from kinky.ownership.record import fetch_record
from kinky.reach.forward import CA_FILE
from kinky.reach.host import find_host
from kinky.reach.reach import Reach
from kinky.render.node import check_templates
from kinky.stores.opening import Description, describe_store, open_store
from kinky.toolchain.tools import find_program


def main() -> InnerCluster:
    """Run the program of one stack, with each failure told by its text alone; return the cluster for more resources."""
    with told_by_pulumi("the Pulumi program of a stack"):
        source = f"stacks/Pulumi.{pulumi.get_stack()}.yaml"
        args = prepare(read_stack_config(), source=source, stack=describe_stack())
        if pulumi.runtime.is_dry_run():
            # An `up` lists them at its end, when its own changes are among them.
            for line in describe_pending(Reach(args.access, "").host()):
                pulumi.log.warn(line)
        return declare(args)


def prepare(raw: Mapping[str, object], *, source: str, stack: str) -> InnerClusterArgs:
    """Check everything that can be checked before anything is touched, and return what an InnerCluster needs.

    Args:
        raw: The configuration as in a stack file, without the prefix `kinky:`.
        source: Where it was written, for messages.
        stack: Organization, project and stack; `describe_stack` finds them.

    Raises:
        KinkyError: The configuration is wrong, or the host does not fit; the message tells all problems.
    """
    config = load_config(raw, source=source)
    base = paths.project_root()
    refuse([*check_archive(config, base=base), *check_ca(config, base=base)], source=source)
    check_templates()
    access = find_host(config)
    reach = Reach(access, "")
    reference = config.image.reference or current_node_image(config.release).reference
    crane = find_program("crane")
    image = find_record(
        reference,
        archive=find_archive(config, base=base),
        layers=partial(read_small_layers, crane=crane) if crane else None,
    )
    fit = check_fit(
        config,
        reach.host(),
        stack=stack,
        image=reference,
        image_kubernetes_version=image.kubernetes_version,
        image_holds=image.images,
    )
    store = describe_store(config)
    for warning in (*fit.warnings, *warn_config(config), *check_store(store, reach)):
        pulumi.log.warn(warning)
    return InnerClusterArgs(
        config=config,
        access=access,
        stack=stack,
        image=reference,
        store=store,
        custom_resource_definitions=image.definitions,
        cloud_init_schemas=image.cloud_init_schemas,
        accelerator=fit.accelerator,
        kinky_command=str(Path(sys.executable).parent / "kinky"),
        ca_file=str(paths.stack_dir(config.cluster.name) / CA_FILE),
    )


def check_store(store: Description, reach: Reach) -> list[str]:
    """Look whether a server that the store has of its own can be used.

    For a cluster that is there it is a warning: what is wrong with its store must not keep anybody from repairing it.

    Raises:
        KinkyError: It cannot be used, and there is no such cluster yet.
    """
    server = open_store(store, reach).server
    try:
        if server is not None:
            server.check()
    except KinkyError as error:
        if fetch_record(reach.host(), reach.cluster) is None:
            raise
        return ["; ".join([error.message, *error.details])]
    return []


def declare(args: InnerClusterArgs) -> InnerCluster:
    """Declare the cluster and export what its users need."""
    cluster = InnerCluster(args.config.cluster.name, args)
    pulumi.export("endpoint", cluster.endpoint)
    pulumi.export("kubeconfig", cluster.kubeconfig)
    pulumi.export("nodes", cluster.nodes)
    pulumi.export("evidence", cluster.evidence)
    pulumi.export("timings", cluster.timings)
    return cluster


def read_stack_config() -> dict[str, object]:
    """Read all keys of the stack's configuration that are ours, also unknown ones, so that they can be refused."""
    # `pulumi.Config` reads keys by name only; this is where it reads them from.
    values = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    return decode_values({key: str(value) for key, value in values.items()})


def describe_stack() -> str:
    """Return organization, project and stack, as Pulumi names them."""
    return "/".join((pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()))
