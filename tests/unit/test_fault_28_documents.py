"""What kubeadm and the kubelet read of a node's documents: Go's YAML knows other numbers and truths than Python's."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from kinky.config.load import load_config
from kinky.render.document import render_document
from kinky.render.kubeadm import build_kubeadm_documents, render_documents
from kinky.render.kubelet import build_kubelet_configuration
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import build_nodes

ADDRESSES = "10.96.7.1"


class GoLoader(yaml.SafeLoader):
    """Takes for no text what sigs.k8s.io/yaml takes for none (goyaml.v2, resolve.go)."""


NUMBER = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?0[box][0-9a-fA-F_]+$|^[-+]?[0-9_]+$")
GoLoader.add_implicit_resolver("!other", NUMBER, list("-+.0123456789"))
GoLoader.add_implicit_resolver("!other", re.compile(r"^(y|Y|n|N)$"), list("yYnN"))
GoLoader.add_constructor("!other", lambda loader, node: ("no text", node.value))


def read(text: str) -> dict[str, Any]:
    documents = list(yaml.load_all(text, Loader=GoLoader))
    return {document["kind"]: document for document in documents}


def render(**cluster: str) -> dict[str, Any]:
    cfg = load_config({"cluster": {"name": "dev", **cluster}, "host": {"embedded": True}}, source="test")
    nodes = build_nodes(cfg)
    addresses = Addresses.parse(endpoint=["10.96.7.10"], nodes={node.name: [ADDRESSES] for node in nodes})
    documents = render_documents(build_kubeadm_documents(cfg, nodes[0], nodes, addresses))
    worker = read(render_document(build_kubelet_configuration(cfg, nodes[-1])))
    assert worker["KubeletConfiguration"]["clusterDomain"] == cfg.cluster.domain
    return read(documents)


@pytest.mark.parametrize("name", ["y", "n", "yes", "no", "on", "null", "true", "e1"])
def test_fault_28_a_cluster_s_name_stays_a_text(name: str) -> None:
    documents = render(name=name)["ClusterConfiguration"]
    assert documents["clusterName"] == name
    tokens = [each["value"] for each in documents["etcd"]["local"]["extraArgs"] if each["name"].endswith("-token")]
    assert tokens == [name]


@pytest.mark.parametrize("domain", ["y", "1e3", "0x1f", "0o17", "0b11", "12", "1.5", "1.5e3", "2001-01-01", "null"])
def test_fault_28_a_domain_stays_a_text(domain: str) -> None:
    documents = render(domain=domain)
    assert documents["ClusterConfiguration"]["networking"]["dnsDomain"] == domain
    assert documents["KubeletConfiguration"]["clusterDomain"] == domain


def test_the_loader_of_these_tests_reads_as_go_does() -> None:
    seen = read("kind: x\na: 1e3\nb: y\nc: 0o17\nd: '1e3'\n")["x"]
    assert [seen[key] for key in "abcd"] == [("no text", "1e3"), ("no text", "y"), ("no text", "0o17"), "1e3"]
