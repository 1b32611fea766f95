from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.manifests import (
    gate,
    secrets_store,
    store_reader,
    workload,
)
from kinky.manifests.addons import cluster_access, coredns, external_secrets, flannel, kube_proxy
from kinky.manifests.addons.table import build_addons
from kinky.manifests.body import Body, logical_name


def config(**sections: Any) -> KinkyConfig:
    return load_config({"cluster": {"name": "t"}, "host": {"embedded": True}, **sections}, source="test")


def everything(cfg: KinkyConfig) -> list[Body]:
    return [
        *gate.build_gate(),
        gate.build_closed_state(),
        *build_addons(cfg),
        *secrets_store.build_store(cfg, server="https://10.96.0.1:443", ca_bundle="Q0E="),
        *workload.build_workload(cfg),
    ]


def only(bodies: tuple[Body, ...], kind: str) -> Body:
    (body,) = [body for body in bodies if body["kind"] == kind]
    return body


def pods(bodies: list[Body]) -> Iterator[Body]:
    return (body["spec"]["template"]["spec"] for body in bodies if body["kind"] in ("DaemonSet", "Deployment"))


def test_nothing_is_pulled_and_no_registry_is_named() -> None:
    for pod in pods(everything(config())):
        for container in pod["containers"]:
            assert container["image"].startswith("kinky.internal/")
            assert container["imagePullPolicy"] == "Never"
        assert "initContainers" not in pod


def test_what_a_pod_mounts_and_runs_as_is_declared_with_it() -> None:
    bodies = everything(config())
    declared = {(body["kind"], body["metadata"].get("namespace"), body["metadata"]["name"]) for body in bodies}
    for body in bodies:
        if body["kind"] not in ("DaemonSet", "Deployment"):
            continue
        namespace, pod = body["metadata"]["namespace"], body["spec"]["template"]["spec"]
        assert ("ServiceAccount", namespace, pod["serviceAccountName"]) in declared
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        assert {mount["name"] for mount in pod["containers"][0].get("volumeMounts", [])} == set(volumes)
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", namespace, volume["configMap"]["name"]) in declared
            if "secret" in volume:
                assert ("ExternalSecret", namespace, volume["secret"]["secretName"]) in declared


def test_selectors_match_their_templates() -> None:
    for body in everything(config()):
        if body["kind"] in ("DaemonSet", "Deployment"):
            labels = body["spec"]["template"]["metadata"]["labels"]
            assert body["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_roles_that_are_bound_exist() -> None:
    bodies = everything(config())
    roles = {body["metadata"]["name"] for body in bodies if body["kind"] == "ClusterRole"}
    for body in bodies:
        if body["kind"] == "ClusterRoleBinding":
            assert body["roleRef"]["name"] in roles or body["roleRef"]["name"].startswith("system:")


def test_logical_names_are_unique_and_no_body_is_a_secret() -> None:
    bodies = everything(config())
    logical = [logical_name(body) for body in bodies]
    assert len(set(logical)) == len(logical)
    assert "kube-system/daemonset/flannel" in logical
    assert "Secret" not in {body["kind"] for body in bodies}


def test_namespaces_come_before_what_is_in_them() -> None:
    made = {"kube-system"}
    for body in everything(config()):
        if body["kind"] == "Namespace":
            made.add(body["metadata"]["name"])
        assert body["metadata"].get("namespace", "kube-system") in made


@pytest.mark.parametrize(("mtu", "below"), [(None, None), (1400, 1450)])
def test_flannels_network(mtu: int | None, below: int | None) -> None:
    cfg = config(network={"podCidrs": ["10.11.0.0/16"], "overlayPort": 20000, "mtu": mtu})
    network = json.loads(only(flannel.build_flannel(cfg), "ConfigMap")["data"]["net-conf.json"])
    backend = {"Type": "vxlan", "Port": 20000} | ({"MTU": below} if below else {})
    assert network == {"Network": "10.11.0.0/16", "EnableNFTables": True, "Backend": backend}


def test_what_makes_services_work_does_not_need_services() -> None:
    (container,) = only(flannel.build_flannel(config()), "DaemonSet")["spec"]["template"]["spec"]["containers"]
    values = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert values["KUBERNETES_SERVICE_HOST"] == "api.t.kinky.internal"
    kubeconfig = json.loads(only(kube_proxy.build_kube_proxy(config()), "ConfigMap")["data"]["kubeconfig.conf"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://api.t.kinky.internal:6443"
    for bodies in (flannel.build_flannel(config()), kube_proxy.build_kube_proxy(config())):
        assert only(bodies, "DaemonSet")["spec"]["template"]["spec"]["hostNetwork"] is True


def test_kube_proxy_serves_node_ports_on_every_address() -> None:
    document = json.loads(only(kube_proxy.build_kube_proxy(config()), "ConfigMap")["data"]["config.conf"])
    assert document["mode"] == "nftables"
    assert document["nodePortAddresses"] == ["0.0.0.0/0"]
    assert document["clusterCIDR"] == "10.243.0.0/16"


def test_a_changed_config_map_restarts_its_pods() -> None:
    def annotation(cfg: KinkyConfig) -> str:
        template = only(flannel.build_flannel(cfg), "DaemonSet")["spec"]["template"]
        text: str = template["metadata"]["annotations"]["kinky.dev/config-hash"]
        return text

    assert annotation(config()) == annotation(config())
    assert annotation(config()) != annotation(config(network={"overlayPort": 20000}))


def test_dns_is_where_the_kubelets_were_told() -> None:
    cfg = config(cluster={"name": "t", "domain": "inner.test"}, network={"serviceCidrs": ["10.12.0.0/16"]})
    bodies = coredns.build_coredns(cfg)
    assert only(bodies, "Service")["spec"]["clusterIP"] == "10.12.0.10"
    corefile = only(bodies, "ConfigMap")["data"]["Corefile"]
    assert "kubernetes inner.test in-addr.arpa ip6.arpa {" in corefile
    assert corefile.count("{") == corefile.count("}")


def test_replicas_follow_the_size_of_the_cluster() -> None:
    small, large = config(), config(workers=[{"pool": "worker", "replicas": 2}])
    assert only(coredns.build_coredns(small), "Deployment")["spec"]["replicas"] == 1
    assert only(coredns.build_coredns(large), "Deployment")["spec"]["replicas"] == 2
    assert only(workload.build_workload(small), "Deployment")["spec"]["replicas"] == 1
    assert only(workload.build_workload(large), "Deployment")["spec"]["replicas"] == 2


def test_external_secrets_runs_its_reading_parts_only() -> None:
    bodies = external_secrets.build_external_secrets(config())
    (container,) = only(bodies, "Deployment")["spec"]["template"]["spec"]["containers"]
    off = {argument for argument in container["args"] if argument.endswith("=false")}
    assert off == {
        "--enable-cluster-external-secret-reconciler=false",
        "--enable-cluster-push-secret-reconciler=false",
        "--enable-push-secret-reconciler=false",
        "--enable-generator-state=false",
    }
    assert {body["kind"] for body in bodies} == {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "RoleBinding",
        "Deployment",
    }


def test_external_secrets_writes_no_secret_beside_the_two_namespaces() -> None:
    bodies = (*external_secrets.build_external_secrets(config()), *workload.build_workload(config()))
    roles = {body["metadata"]["name"]: body["rules"] for body in bodies if body["kind"] == "ClusterRole"}
    writing = {
        name
        for name, rules in roles.items()
        for rule in rules
        if "secrets" in rule["resources"] and {"create", "update", "patch", "delete", "*"} & set(rule["verbs"])
    }
    bindings = [body for body in bodies if body["kind"].endswith("RoleBinding") and body["roleRef"]["name"] in writing]
    assert {(body["kind"], body["metadata"].get("namespace")) for body in bindings} == {
        ("RoleBinding", "kinky-system"),
        ("RoleBinding", "web"),
    }


def test_the_store_is_the_host_namespace_and_serves_two_namespaces() -> None:
    late = object()
    store, canary = secrets_store.build_store(config(), server=late, ca_bundle=late)
    assert store["spec"]["provider"]["kubernetes"] == {
        "server": {"url": late, "caBundle": late},
        "remoteNamespace": "kinky-t",
        "auth": {"token": {"bearerToken": {"name": "host-store-token", "namespace": "kinky-system", "key": "token"}}},
    }
    assert store["spec"]["conditions"] == [{"namespaces": ["kinky-system", "web"]}]
    assert canary["metadata"]["namespace"] == "kinky-system"
    assert canary["spec"]["refreshInterval"] == "30s"


def test_what_is_read_from_the_store_is_what_its_reader_may_read() -> None:
    cfg = config()
    keys = [
        entry["remoteRef"]["key"]
        for body in everything(cfg)
        if body["kind"] == "ExternalSecret"
        for entry in body["spec"]["data"]
    ]
    unknown, decoy = secrets_store.build_probes(cfg)
    # The reader may read the unknown key: so its refusal says that it is absent, and not that it is forbidden.
    assert {*keys, unknown["spec"]["data"][0]["remoteRef"]["key"]} == set(store_reader.store_secret_names(cfg))
    # What the decoy asks for is no value of the store, or its refusal would prove nothing.
    assert decoy["spec"]["data"][0]["remoteRef"]["key"] not in store_reader.store_secret_names(cfg)


def test_the_workload_waits_for_its_secret_and_can_be_left_out() -> None:
    bodies = workload.build_workload(config(workload={"greeting": 'it\'s "me"', "nodePort": 31234}))
    pod = only(bodies, "Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "secrets", "secret": {"secretName": "message", "optional": False}}]
    assert {"name": "GREETING", "value": 'it\'s "me"'} in pod["containers"][0]["env"]
    assert pod["automountServiceAccountToken"] is False
    assert only(bodies, "Service")["spec"]["ports"][0]["nodePort"] == 31234
    assert workload.build_workload(config(workload={"enabled": False})) == ()


def test_rights_that_kubeadm_would_have_granted() -> None:
    bindings = cluster_access.build_cluster_access(config())
    assert {(body["roleRef"]["name"], body["subjects"][0]["name"]) for body in bindings} == {
        ("system:kubelet-api-admin", "kube-apiserver-kubelet-client"),
        ("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "system:nodes"),
    }


def test_s11_the_policy_matches_every_way_to_a_running_pod() -> None:
    policy = only(gate.build_gate(), "ValidatingAdmissionPolicy")["spec"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    # A dry run, a generated name, a toleration, a given node: all are a CREATE of pods, and nothing narrows the match.
    assert rule["operations"] == ["CREATE"]
    assert set(rule["resources"]) == {"pods", "pods/binding", "bindings"}
    assert set(policy["matchConstraints"]) == {"matchPolicy", "namespaceSelector", "resourceRules"}
    assert "matchConditions" not in policy
    assert policy["failurePolicy"] == "Fail"
    (exempt,) = policy["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert (exempt["operator"], exempt["values"]) == ("NotIn", ["kube-system", "kinky-system"])
    (rule_of_state,) = policy["validations"]
    assert "\n" not in rule_of_state["message"] and "kinky gate show" in rule_of_state["message"]


def test_s16_a_gate_without_its_grant_refuses() -> None:
    """The policy asks the authorizer, which says no where nothing is granted; the wall itself grants nothing."""
    wall, grant = gate.build_gate(), gate.build_grant()
    binding = only(wall, "ValidatingAdmissionPolicyBinding")["spec"]
    assert binding == {"policyName": "kinky-gate", "validationActions": ["Deny"]}
    policy = only(wall, "ValidatingAdmissionPolicy")["spec"]
    # kubernetes/kubernetes#130887: an API server that was once without the binding reads no parameter any more.
    assert "paramKind" not in policy
    (validation,) = policy["validations"]
    assert validation["expression"] == (
        "authorizer.serviceAccount('kinky-system', 'kinky-gate').group('kinky.dev').resource('gates')"
        ".namespace('kinky-system').check('open').allowed()"
    )
    granted = [subject for body in wall for subject in body.get("subjects", [])]
    assert {subject["name"] for subject in granted} == {"system:nodes"}, "the wall itself grants the account nothing"
    role = only(wall, "Role")
    assert role["rules"] == [{"apiGroups": ["kinky.dev"], "resources": ["gates"], "verbs": ["open"]}]
    assert grant["roleRef"]["name"] == role["metadata"]["name"]
    assert grant["metadata"]["namespace"] == role["metadata"]["namespace"] == "kinky-system"
    assert grant["subjects"] == [{"kind": "ServiceAccount", "name": "kinky-gate", "namespace": "kinky-system"}]
    assert gate.build_closed_state()["data"]["state"] == "closed"


def test_pods_of_ours_run_before_the_gate_is_open_and_the_workload_does_not() -> None:
    for body in everything(config()):
        if body["kind"] in ("DaemonSet", "Deployment"):
            tolerations = body["spec"]["template"]["spec"].get("tolerations", [])
            tolerates = any(item.get("key") in (None, "kinky.dev/secrets-not-ready") for item in tolerations)
            ours = body["metadata"]["namespace"] in ("kube-system", "kinky-system")
            assert tolerates == ours, body["metadata"]["name"]
