"""What the program declares of the secrets store: when each kind is made, and what of it is inside or on the host."""

from __future__ import annotations

import base64
from pathlib import Path

from kinky.keys import certificates
from tests.program.recorder import Declare, Recorder, kubernetes_objects, object_name, provider_name


def test_a_cluster_without_the_workload_still_proves_its_store(declare: Declare) -> None:
    recorded = declare(workload={"enabled": False})
    assert recorded.one("GateOpened")
    assert not recorded.of("WorkloadAnswered")
    assert [item.inputs["value"] for item in recorded.of("StoreValue")] == ["canary"]


def embedded_store(declare: Declare) -> Recorder:
    return declare(cluster={"name": "dev", "ephemeral": True}, secretsStore={"kind": "inCluster"})


def test_an_embedded_store_is_made_after_the_gate_stands_and_before_it_opens(declare: Declare) -> None:
    recorded = embedded_store(declare)
    gate, opened = recorded.one("Gate").name, recorded.one("GateOpened")
    source = [recorded.one("Namespace", "kinky-store"), *recorded.of("StoreValue")]
    source += [item for item in recorded.seen if item.inputs.get("metadata", {}).get("namespace") == "kinky-store"]
    assert {item.kind for item in source} == {"Namespace", "StoreValue", "ServiceAccount", "Role", "RoleBinding"}
    for item in source:
        assert gate in recorded.before(item), item.name
        assert item.name in recorded.before(opened), item.name
        assert recorded.deleted_with(item) == recorded.one("InnerCluster").urn, item.name
    assert recorded.one("Namespace", "kinky-store").name in recorded.before(recorded.of("StoreValue")[0])


def test_an_embedded_store_puts_no_token_inside_and_nothing_of_it_on_the_host(declare: Declare) -> None:
    recorded = embedded_store(declare)
    assert not recorded.of("StoreCredential")
    on_host = [object_name(item) for item in kubernetes_objects(recorded) if provider_name(item) == "dev-host"]
    assert on_host
    assert not [name for name in on_host if "store" in name]


VAULT = {"kind": "vault", "vault": {"address": "https://vault.example:8200"}}


def test_a_server_of_the_store_is_told_before_its_values_and_waits_for_no_machine(declare: Declare) -> None:
    recorded = declare(secretsStore=VAULT)
    served = recorded.one("StoreServed")
    assert {"dev-record", "dev-keys"} <= recorded.before(served)
    assert recorded.one("OutsideReady").name not in recorded.before(served)
    for value in recorded.of("StoreValue"):
        assert served.name in recorded.before(value)
    assert served.name in recorded.before(recorded.one("GateOpened"))


def test_a_server_needs_no_token_inside_and_only_external_secrets_own_account(declare: Declare) -> None:
    recorded = declare(secretsStore=VAULT)
    assert not recorded.of("StoreCredential")
    assert "credential_expires_at" not in recorded.exports["evidence"]["secrets_store"]
    right = recorded.one("Role", "kinky:external-secrets:token:external-secrets")
    assert right.inputs["rules"][0]["resourceNames"] == ["external-secrets"]
    store = recorded.one("ClusterSecretStore")
    assert right.name in recorded.before(store)
    provider = store.inputs["spec"]["provider"]["vault"]
    assert provider["server"] == "https://vault.example:8200"
    assert provider["auth"]["jwt"]["kubernetesServiceAccountToken"] == {
        "serviceAccountRef": {"name": "external-secrets", "namespace": "kinky-system"},
        "audiences": ["openbao"],
        "expirationSeconds": 600,
    }
    on_host = [object_name(item) for item in kubernetes_objects(recorded) if provider_name(item) == "dev-host"]
    assert not [name for name in on_host if "store" in name]


def test_the_ca_of_a_server_is_what_external_secrets_verifies_it_by(declare: Declare, tmp_path: Path) -> None:
    ca = certificates.make_ca("test").certificate
    (tmp_path / "ca.pem").write_bytes(ca)
    vault = {**VAULT["vault"], "caFile": str(tmp_path / "ca.pem")}  # type: ignore[dict-item]
    recorded = declare(secretsStore={"kind": "vault", "vault": vault})
    bundle = recorded.one("ClusterSecretStore").inputs["spec"]["provider"]["vault"]["caBundle"]
    assert base64.b64decode(bundle) == ca
    assert recorded.one("StoreServed").inputs["store"]["vault"]["ca"] == ca.decode()


def test_a_store_on_the_host_is_made_without_waiting_for_a_machine(declare: Declare) -> None:
    recorded = declare()
    for item in [*recorded.of("StoreValue"), recorded.one("Role", "dev-store-reader")]:
        assert recorded.one("OutsideReady").name not in recorded.before(item), item.name
