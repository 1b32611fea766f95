"""Ports of nodes: a server behind NodePorts and a port of its own, asked from each place that may ask.

It needs the image agnhost of the conformance suite on the nodes.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from kinky import paths, process, retry
from kinky.errors import CommandError
from kinky.manifests.pods import EVERY_TAINT
from tests.e2e.person import Person

NAMESPACE: Final = "node-ports"
PUBLISHED: Final = 31000
PUBLISHED_UDP: Final = 31001
INNER: Final = 31500
"""Not published: only pods and nodes of the inner cluster reach it."""
LOCAL: Final = 31501
"""Also not published; only the node with the server answers (`externalTrafficPolicy: Local`)."""
HOST_PORT: Final = 9000
"""A port of the server's node that is no NodePort at all."""
OF_EACH_NODE: Final = (("tcp", INNER), ("tcp", PUBLISHED), ("udp", PUBLISHED_UDP))
POD, NODE = "asker", "node-asker"
"""Who asks, on each node: a pod, and a process in the node's own network."""
ANSWER_SECONDS: Final = 60.0


def prepare(person: Person, image: str, *, server: str) -> None:
    """Make the server on a node and somebody who asks on each."""
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _server(image, server),
        _service("inner", "Cluster", tcp=INNER),
        _service("published", "Cluster", tcp=PUBLISHED, udp=PUBLISHED_UDP),
        _service("local", "Local", tcp=LOCAL),
        _askers(image, POD, in_node=False),
        _askers(image, NODE, in_node=True),
    ]
    file = person.scratch / "node-ports.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    person.kubectl("apply", "--filename", str(file))
    wait_ready(person)


def wait_ready(person: Person) -> None:
    """Wait until the server and everybody who asks runs."""
    for name in (POD, NODE):
        rollout = ("rollout", "status", f"daemonset/{name}", "--namespace", NAMESPACE, "--timeout=120s")
        person.kubectl(*rollout, limit_seconds=150)
    ready = ("wait", "pod/server", "--for=condition=Ready", "--namespace", NAMESPACE, "--timeout=120s")
    person.kubectl(*ready, limit_seconds=150)


def addresses(person: Person) -> dict[str, str]:
    """Return each node's internal address."""
    return {
        name: next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
        for name, node in person.nodes().items()
    }


def check_everywhere(person: Person, *, server: str) -> None:
    """Assert that pods and nodes reach the ports of all nodes, and those of the server's node alone only there."""
    there = addresses(person)
    asked = [f"{kind} {address} {port}" for address in there.values() for kind, port in OF_EACH_NODE]
    asked += [f"tcp {there[server]} {port}" for port in (LOCAL, HOST_PORT)]
    for asker in (POD, NODE):
        for node in there:
            wait_for_answers(person, asker, node, asked)


def wait_for_answers(person: Person, asker: str, node: str, asked: list[str]) -> None:
    """Wait until the server answers to the asker of a node at all of the addresses and ports."""

    def ask() -> retry.Pending | None:
        silent = find_silent(person, asker, node, asked)
        return retry.Pending(f"silent: {', '.join(silent)}") if silent else None

    what = f"answers to the {asker} of {node}"
    retry.wait_until(ask, what=what, deadline_seconds=ANSWER_SECONDS, tolerate=(CommandError,))


def find_silent(person: Person, asker: str, node: str, asked: list[str]) -> list[str]:
    """Return those of the addresses and ports from which no answer comes to the asker of a node."""
    selected = ("--selector", f"app={asker}", "--field-selector", f"spec.nodeName={node}", "--output", "name")
    (pod,) = person.kubectl("get", "pods", "--namespace", NAMESPACE, *selected).split()
    script = "\n".join(
        [
            "while read -r kind address port; do",
            "  if [ $kind = udp ]; then answer=$(echo hostname | nc -u -w 1 $address $port)",
            "  else answer=$(curl --silent --max-time 3 http://$address:$port/hostname); fi",
            '  [ "$answer" = server ] || echo "$kind $address $port"',
            f"done <<< '{chr(10).join(asked)}'",
        ]
    )
    printed = person.kubectl("exec", "--namespace", NAMESPACE, pod, "--", "bash", "-c", script, limit_seconds=120)
    return printed.splitlines()


def ask_from_host_pod(person: Person, address: str, port: int, *, udp: bool = False) -> str:
    """Return what the server says to a pod of the host, without the pod's own words."""
    pod = person.launcher(person.control_plane)
    kind, request = ("udp", "hostname") if udp else ("tcp", r"GET /hostname HTTP/1.0\r\n\r\n")
    script = f"exec 3<>/dev/{kind}/{address}/{port} && printf '{request}' >&3 && timeout 2 cat <&3 || true"
    return person.host("exec", pod, "--container", "compute", "--", "bash", "-c", script)


def ask_from_machine(person: Person, node: str, port: int) -> str:
    """Return what the server says to the machine, through kubectl's port-forward to the node's Service on the host."""
    log = person.scratch / "port-forward.log"
    namespace = person.stack.config.host.namespace
    script = "\n".join(
        [
            f"kubectl --namespace {namespace} port-forward service/{node} :{port} >{log} 2>&1 & forward=$!",
            "for _ in $(seq 50); do",
            f"  at=$(sed -n 's/.*from \\(127[^ ]*\\) .*/\\1/p' {log}); [ -z \"$at\" ] || break; sleep 0.2",
            "done",
            "curl --silent --max-time 5 http://$at/hostname; kill $forward",
        ]
    )
    settings = {**person.environment(), "KUBECONFIG": str(paths.host_kubeconfig())}
    return process.run(["bash", "-c", script], reason="ask through the host", env=settings, timeout_seconds=30)


def _server(image: str, node: str) -> dict[str, Any]:
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["netexec", "--http-port=8080", "--udp-port=8081"],
        "ports": [{"containerPort": 8080, "hostPort": HOST_PORT}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": 8080}, "periodSeconds": 1},
    }
    spec = {"nodeName": node, "hostname": "server", "containers": [container], "restartPolicy": "Always"}
    metadata = {"name": "server", "namespace": NAMESPACE, "labels": {"app": "server"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _service(name: str, policy: str, *, tcp: int, udp: int | None = None) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": tcp, "protocol": "TCP"}]
    if udp is not None:
        ports.append({"name": "udp", "port": 81, "targetPort": 8081, "nodePort": udp, "protocol": "UDP"})
    spec = {"type": "NodePort", "selector": {"app": "server"}, "externalTrafficPolicy": policy, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _askers(image: str, name: str, *, in_node: bool) -> dict[str, Any]:
    labels = {"app": name}
    pod = {
        "hostNetwork": in_node,
        "tolerations": list(EVERY_TAINT),
        "terminationGracePeriodSeconds": 1,
        # A node that was replaced gets the image a little later: it must not wait for a registry meanwhile.
        "containers": [{"name": "asker", "image": image, "imagePullPolicy": "Never", "args": ["pause"]}],
    }
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}
