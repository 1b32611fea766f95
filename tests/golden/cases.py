"""From a case's config.yaml to the texts that its golden files must hold; no Pulumi, no network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.manifests import (
    gate,
    host_namespace,
    network_policy,
    secrets_store,
    services,
    storage,
    stores,
    user_data,
    virtual_machine,
    workload,
)
from kinky.manifests.addons.table import build_addons
from kinky.manifests.body import Body
from kinky.render.kubeadm import build_kubeadm_documents, render_documents
from kinky.render.node import render_node
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec, build_nodes

REWRITE = "KINKY_GOLDEN"
"""Environment variable that, set to `write`, makes the test write the files instead of comparing them."""
FOLDER = Path(__file__).parent
CONFIG = "config.yaml"


def names_of_cases() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))


def read_config(case: str) -> KinkyConfig:
    path = FOLDER / case / CONFIG
    return load_config(yaml.safe_load(path.read_text()), source=str(path))


def fixed_addresses(nodes: Iterable[NodeSpec]) -> Addresses:
    """Addresses as a host would give them, but the same at every run."""
    return Addresses.parse(
        endpoint=["10.96.7.1"], nodes={node.name: [f"10.96.7.{number}"] for number, node in enumerate(nodes, 10)}
    )


def render_case(case: str) -> dict[str, str]:
    """Return every golden file of the case by its path below the case's folder."""
    return render_files(read_config(case))


def render_files(cfg: KinkyConfig) -> dict[str, str]:
    """Return all texts that a configuration renders to, by the golden files' paths."""
    nodes = build_nodes(cfg)
    addresses = fixed_addresses(nodes)
    files = {}
    for node in _shown(nodes):
        rendered = render_node(cfg, node, nodes, addresses)
        files[f"nodes/{node.name}.user-data.yaml"] = rendered.user_data
        files[f"nodes/{node.name}.network-data.yaml"] = rendered.network_data
        if node.is_control_plane:
            documents = build_kubeadm_documents(cfg, node, nodes, addresses)
            files[f"nodes/{node.name}.kubeadm.yaml"] = render_documents(documents)
    files["host.yaml"] = _documents(_host_bodies(cfg, nodes, addresses))
    files["inner.yaml"] = _documents(_inner_bodies(cfg))
    return files


def read_case(case: str) -> dict[str, str]:
    """Return the golden files as they are on disk."""
    folder = FOLDER / case
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != CONFIG)
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def write_case(case: str) -> None:
    """Make the files on disk what the case renders to."""
    for name in read_case(case):
        (FOLDER / case / name).unlink()
    for name, text in render_case(case).items():
        path = FOLDER / case / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def _shown(nodes: Iterable[NodeSpec]) -> list[NodeSpec]:
    """The first node of each pool, and the second control plane: the others differ by their number alone."""
    return [node for node in nodes if node.index == 0 or (node.is_control_plane and node.index == 1)]


def _host_bodies(cfg: KinkyConfig, nodes: tuple[NodeSpec, ...], addresses: Addresses) -> Iterable[Body]:
    if cfg.host.create_namespace:
        yield host_namespace.build_host_namespace(cfg)
    yield network_policy.build_network_policy(cfg)
    yield services.build_endpoint_service(cfg)
    if not stores.of(cfg).is_inside():
        yield from stores.of(cfg).build_source(cfg)
    for node in _shown(nodes):
        yield services.build_node_service(cfg, node)
        if storage.has_etcd_claim(cfg, node):
            yield storage.build_etcd_claim(cfg, node)
        rendered = render_node(cfg, node, nodes, addresses)
        secret = names.user_data_secret(node.name, rendered.content_hash)
        # The texts have golden files of their own.
        yield user_data.build_user_data_secret(cfg, node, name=secret, user_data="...", network_data="...")
        credentials = (
            names.pki_secret(cfg.cluster.name)
            if node.is_control_plane
            else names.credentials_secret(node.name, "0" * names.HASH_LENGTH)
        )
        yield virtual_machine.build_virtual_machine(
            cfg,
            node,
            image=cfg.image.reference or "kinky.internal/node:v1.36.3-000000000000",
            user_data_secret=secret,
            credentials_secret=credentials,
            accelerator=Accelerator.parse(cfg.host.accelerator),
        )


def _inner_bodies(cfg: KinkyConfig) -> Iterable[Body]:
    yield from gate.build_gate()
    yield gate.build_closed_state()
    yield gate.build_grant()
    yield from build_addons(cfg)
    if stores.of(cfg).is_inside():
        yield from stores.of(cfg).build_source(cfg)
    yield from stores.of(cfg).build_rights(cfg)
    yield from secrets_store.build_store(cfg, server="https://10.96.0.1:443", ca_bundle="QSBDQQ==")
    yield from workload.build_workload(cfg)


class _Dumper(yaml.SafeDumper):
    """YAML for reading: no anchors, texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _documents(bodies: Iterable[Body]) -> str:
    return yaml.dump_all(bodies, Dumper=_Dumper, sort_keys=False, width=1000, explicit_start=True)
