"""A cluster that has one fault: our own servers in the places of its API, its host and the ports of its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from kinky import names
from kinky.config.load import load_config
from kinky.keys.certificates import LeafRequest, make_leaf
from kinky.keys.material import CAS
from kinky.kube.access import HostAccess, InnerAccess
from kinky.kube.connection import open_inner
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE, WORKLOAD_KEY, WORKLOAD_VALUE
from kinky.reach.reach import Reach
from kinky.status.fault_server import FaultServer, Identity, Reply
from kinky.status.target import Target
from kinky.stores.store import Store

CLUSTER: Final = "selftest"
SECONDS: Final = 0.6
"""Limit of each question: a silent server costs a self-test this much."""
OK: Final[Reply] = (200, b"ok")
HEALTHY: Final[Mapping[tuple[str, str], Reply]] = {
    ("GET", "/readyz"): OK,
    ("GET", "/livez"): OK,
    ("GET", "/version"): (200, {"gitVersion": "v0.0.0"}),
    ("GET", "/api/v1/namespaces/kube-system"): (200, {"metadata": {"name": "kube-system", "uid": "uid-1"}}),
}


class StandInReach(Reach):
    """Leads to our own servers, without keys and without a forward."""

    def __init__(self, inner: InnerAccess, host: HostApi) -> None:
        """Use these servers."""
        super().__init__(host.access, inner.server)
        self._host = host
        self._way = inner

    def heal(self) -> None:
        """Do nothing: there is no forward."""

    def inner(self) -> InnerApi:
        """Return the API that has the fault."""
        return InnerApi.connect(self._way)


class FewValues:
    """A store with the two values that probes read."""

    def read(self, name: str) -> Mapping[str, bytes] | None:
        """Return one value."""
        return {WORKLOAD_VALUE: {WORKLOAD_KEY: b"message"}, CANARY_VALUE: {CANARY_KEY: b"new"}}.get(name)

    def check_credential(self, _inner: InnerApi) -> str:
        """Find nothing wrong."""
        return "fine"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault for one probe."""

    probe: str
    fault: str
    """The fault in words."""
    reason: str
    """The reason that the probe must give."""
    server: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the server that stands for the cluster, which else works."""
    node: Mapping[str, Any] | None = None
    """Settings of the server that stands for a port of a node; None uses the first one."""
    planes: int = 1
    short: bool = False
    """Whether it is part of the short form, which runs at each start."""
    keys_life: timedelta = timedelta(days=3650)


def build_identity(folder: Path) -> Identity:
    """Build the identity of the self-test's servers."""
    nodes = [*(f"{CLUSTER}-control-plane-{index}" for index in range(3)), f"{CLUSTER}-worker-0"]
    return Identity(folder=folder, names=(names.endpoint_host(CLUSTER), "localhost", *nodes)).write()


@contextmanager
def stand_in(trial: Trial, identity: Identity) -> Iterator[Target]:
    """Serve a trial's fault, and yield the cluster that has it."""
    with ExitStack() as stack:
        cluster = stack.enter_context(FaultServer(identity, **{"answers": HEALTHY, **trial.server}).serve())
        node = cluster
        if trial.node is not None:
            node = stack.enter_context(FaultServer(identity, **{"answers": HEALTHY, **trial.node}).serve())
        host = cluster
        if {"certificate", "fault"} & trial.server.keys():
            # The fault is the cluster's own: its host answers.
            host = stack.enter_context(FaultServer(identity, answers=HEALTHY).serve())
        yield _build_target(trial, identity, cluster, node, host)


def _build_target(
    trial: Trial, identity: Identity, cluster: FaultServer, node: FaultServer, host: FaultServer
) -> Target:
    access = InnerAccess(
        cluster=CLUSTER,
        server=f"https://127.0.0.1:{cluster.port}",
        tls_server_name=names.endpoint_host(CLUSTER),
        ca_file=identity.ca_file,
        credential_file=identity.client_file,
    )
    config = load_config(
        {
            "cluster": {"name": CLUSTER},
            "host": {"namespace": CLUSTER, "encryptionAtRest": "attested"},
            "image": {"reference": "example.test/node:1"},
            "controlPlane": {"replicas": trial.planes},
        },
        source="self-test",
    )
    host_access = HostAccess(kubeconfig="", context=None, namespace=CLUSTER, cluster=CLUSTER)
    host_way = open_inner(replace(access, server=f"https://127.0.0.1:{host.port}"))

    @contextmanager
    def open_port(_node: str, _port: int) -> Iterator[int]:
        yield node.port

    return Target(
        stack=CLUSTER,
        config=config,
        reach=StandInReach(access, HostApi(host_way, host_access)),
        open_port=open_port,
        fetch_keys=lambda: _build_keys(identity, trial.keys_life),
        read_ca=lambda: identity.ca.certificate,
        ca_file=identity.ca_file,
        client_file=identity.client_file,
        store=cast(Store, FewValues()),
        known_uid="uid-1",
        timeout_seconds=SECONDS,
    )


def _build_keys(identity: Identity, life: timedelta) -> dict[str, bytes]:
    """Build the CAs' files; a short life stands for a CA that ends soon."""
    keys: dict[str, bytes] = {}
    for name in CAS:
        signer = identity.ca
        pair = signer
        if life < timedelta(days=365):
            year = timedelta(days=365)
            pair = make_leaf(signer, LeafRequest(common_name=name, life=year, starts_in=life - year))
        keys |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
    return keys
