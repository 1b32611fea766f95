"""How long the program takes to declare a cluster of some size, with a mocked host and no engine: `python -m` this."""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_mocks

from kinky import program
from kinky.accelerator import Accelerator
from kinky.border import run_main
from kinky.components.cluster_args import InnerClusterArgs
from kinky.config.load import load_config
from kinky.kube.access import HostAccess
from kinky.nodeimage.build import current_node_image
from kinky.nodeimage.index import find_record
from kinky.releases import default_release
from kinky.render.cloud_config import CloudInitSchemas
from kinky.stores.opening import describe_store

IMAGE = "kinky.internal/node:bench"


class MockedHost(Mocks):
    """Gives every resource back as it was declared, and each Service an address."""

    def __init__(self) -> None:
        """Count addresses from the start of the host's Service network."""
        self._numbers = itertools.count(1)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """Return an id and the inputs."""
        state = dict(args.inputs)
        if args.typ == "kubernetes:core/v1:Service":
            number = next(self._numbers)
            state["spec"] = {**state.get("spec", {}), "clusterIPs": [f"10.96.{number // 250}.{number % 250 + 1}"]}
        return args.name, state

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        """Answer no function."""
        return {}, None


def measure(vms: int, *, cloud_init_schemas: CloudInitSchemas | None = None) -> float:
    """Return the seconds to declare a cluster of one control plane and `vms` - 1 workers.

    Args:
        cloud_init_schemas: cloud-init's own schemas, against which a preview also checks each node's data.
    """
    settings = {
        "cluster": {"name": "bench"},
        "host": {"acceptUnencryptedAtRest": True},
        "image": {"reference": IMAGE},
        "workers": [{"pool": "worker", "replicas": vms - 1}],
        # Room for 4096 nodes: the default has it for 256.
        "network": {"podCidrs": ["172.16.0.0/12"]},
    }
    config = load_config(settings, source="bench")
    args = InnerClusterArgs(
        config=config,
        access=HostAccess(kubeconfig="/mocked", context=None, namespace=config.host.namespace, cluster="bench"),
        stack="bench",
        image=IMAGE,
        store=describe_store(config),
        custom_resource_definitions=(),
        cloud_init_schemas=cloud_init_schemas,
        accelerator=Accelerator.EMULATION,
        kinky_command="/mocked/kinky",
        ca_file="/mocked/ca.crt",
    )

    def declare() -> None:
        program.declare(args)

    set_mocks(MockedHost(), project="kinky", stack="bench", preview=True)
    started = time.monotonic()
    run_to_end: Any = pulumi.runtime.test
    run_to_end(declare)()
    return time.monotonic() - started


def main() -> int:
    """Print the seconds for a number of VMs, the first argument."""
    schemas = find_record(current_node_image(default_release()).reference).cloud_init_schemas
    print(round(measure(int(sys.argv[1]), cloud_init_schemas=schemas), 2))
    return 0


if __name__ == "__main__":
    sys.exit(run_main("kinky.bench.declaration", main))
