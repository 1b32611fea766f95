"""Names, labels and ports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinky import names

CLUSTER = st.from_regex(names.DNS_LABEL, fullmatch=True).filter(lambda name: len(name) <= 30)


def test_names_of_one_cluster() -> None:
    assert names.node_name("dev", names.CONTROL_PLANE, 0) == "dev-control-plane-0"
    assert names.endpoint_service("dev") == "dev-endpoint"
    assert names.endpoint_host("dev") == "api.dev.kinky.internal"
    assert names.pki_secret("dev") == "dev-pki"
    assert names.user_data_secret("dev-worker-0", "0123456789") == "dev-worker-0-user-data-01234567"
    assert names.credentials_secret("dev-worker-0", "0123456789") == "dev-worker-0-credentials-01234567"
    assert names.etcd_claim("dev-control-plane-0") == "dev-control-plane-0-etcd"
    assert names.store_secret("dev", "canary") == "dev-store-canary"
    assert names.store_reader("dev") == "dev-store-reader"
    assert names.cluster_record("dev") == "dev-record"
    assert names.network_policy("dev") == "dev-nodes"
    assert names.image_reference("v1.36.3", "0123456789abcdef") == "kinky.internal/node:v1.36.3-0123456789ab"


def test_the_selector_finds_what_the_labels_mark() -> None:
    labels = names.node_labels("dev", role=names.WORKER, pool="web", node="dev-web-0")
    asked = dict(term.split("=") for term in names.cluster_selector("dev").split(","))
    assert asked.items() <= labels.items()
    assert labels["kinky.dev/pool"] == "web"


@pytest.mark.parametrize("name", ["", "-a", "a-", "1a", "A", "a_b", "a.b", "a" * 64])
def test_no_dns_label(name: str) -> None:
    assert not names.is_dns_label(name)


@given(CLUSTER)
def test_a_cluster_gives_dns_labels_and_a_port(cluster: str) -> None:
    assert names.is_dns_label(names.node_name(cluster, names.CONTROL_PLANE, 2))
    assert names.is_dns_label(names.endpoint_service(cluster))
    assert 16443 <= names.forward_port(cluster) < 17443


def test_the_port_of_a_cluster_is_the_same_on_every_machine() -> None:
    assert names.forward_port("dev") == 17173
