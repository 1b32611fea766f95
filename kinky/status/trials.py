"""The faults that each probe must name: one row for each, with the reason that it must give."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from kinky import names
from kinky.kube import resources
from kinky.kube.objects import build_secret
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE
from kinky.status import fault_server
from kinky.status.fault_server import Reply
from kinky.status.stand_in import CLUSTER, HEALTHY, Trial

CANARIES: Final = resources.CONFIG_MAPS.build_path(names.NAMESPACE_KINKY)
PODS: Final = resources.PODS.build_path(names.NAMESPACE_KINKY)
WEB: Final = b"greeting=hello\nsecret=0\nnode=n\n"


def _answers(*more: tuple[str, str, int, Any]) -> dict[str, Any]:
    return {"answers": {**HEALTHY, **{(verb, path): (status, body) for verb, path, status, body in more}}}


def _item(kind: resources.Resource, *bodies: Any, namespace: str | None = None) -> tuple[str, str, int, Any]:
    return ("GET", kind.build_path(namespace), 200, {"items": list(bodies)})


def _node_status(address: str) -> Any:
    return {
        "metadata": {"name": f"{CLUSTER}-control-plane-0"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }


_STOPPED: Final = {"metadata": {"name": f"{CLUSTER}-control-plane-0"}, "status": {"printableStatus": "Stopped"}}
_SERVICE: Final = {
    "metadata": {"name": f"{CLUSTER}-control-plane-0", "labels": names.cluster_labels(CLUSTER)},
    "spec": {"clusterIP": "10.0.0.5"},
}
_FULL: Final = {"reason": "Forbidden", "message": "exceeded quota: small, requested: count/configmaps=1"}
_STALE_SECRET: Final = build_secret(CANARY_VALUE, {CANARY_KEY: b"old"}, labels={})
_VALID: Final = {
    "metadata": {"name": "x"},
    "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Valid"}]},
}
_SYNCED: Final = {
    "metadata": {"name": "x"},
    "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]},
}
_LEADERLESS: Final = _answers(
    ("POST", "/v3/maintenance/status", 200, {"dbSize": "1", "leader": "0"}),
    ("POST", "/v3/cluster/member/list", 200, {"members": [{}]}),
    ("POST", "/v3/maintenance/alarm", 200, {}),
)
_ALARMED: Final = _answers(
    ("POST", "/v3/maintenance/status", 200, {"dbSize": "1", "leader": "7"}),
    ("POST", "/v3/cluster/member/list", 200, {"members": [{}]}),
    ("POST", "/v3/maintenance/alarm", 200, {"alarms": [{"alarm": "NOSPACE"}]}),
)
_LOST: Final = {"metadata": {"name": "x"}, "data": {"written": "something else"}}


def _lose_writes(verb: str, path: str, _body: bytes) -> Reply | None:
    """Answer as an API that takes each write and returns another value."""
    if path.partition("?")[0].startswith(f"{CANARIES}/"):
        return 200, _LOST
    if path.partition("?")[0] == CANARIES:
        return (201, _LOST) if verb == "POST" else (200, {"items": []})
    return None


def _never_run(verb: str, path: str, _body: bytes) -> Reply | None:
    """Answer as an API whose pods stay Pending."""
    if not path.startswith(PODS):
        return None
    if path.partition("?")[0] == PODS and verb == "GET":
        return 200, {"items": []}
    return 200, {"metadata": {"name": "x"}, "status": {"phase": "Pending"}}


TRIALS: Final = (
    Trial(
        probe="api", fault="another CA", reason="wrong-ca", server={"certificate": fault_server.OTHER_CA}, short=True
    ),
    Trial(probe="api", fault="another name", reason="wrong-name", server={"certificate": fault_server.OTHER_NAME}),
    Trial(probe="api", fault="expired", reason="expired", server={"certificate": fault_server.EXPIRED}),
    Trial(probe="api", fault="not yet valid", reason="not-yet-valid", server={"certificate": fault_server.NOT_YET}),
    Trial(
        probe="api",
        fault="200 with another body",
        reason="wrong-body",
        server=_answers(("GET", "/readyz", 200, b"welcome")),
        short=True,
    ),
    Trial(probe="api", fault="accepts and hangs", reason="silent", server={"fault": fault_server.SILENT}, short=True),
    Trial(probe="api", fault="drips", reason="slow", server={"fault": fault_server.DRIP}),
    Trial(probe="api", fault="resets", reason="reset", server={"fault": fault_server.RESET}),
    Trial(probe="api", fault="redirects", reason="redirect", server=_answers(("GET", "/readyz", 302, b""))),
    Trial(probe="api", fault="not ready", reason="not-ready", server=_answers(("GET", "/readyz", 500, b"[-]etcd"))),
    Trial(
        probe="api",
        fault="another cluster",
        reason="not-this-cluster",
        server=_answers(("GET", "/api/v1/namespaces/kube-system", 200, {"metadata": {"uid": "uid-2"}})),
    ),
    Trial(
        probe="api-inside",
        fault="a VM instance that is not there",
        reason="not-ready",
        server=_answers(),
    ),
    Trial(probe="planes", fault="one hangs", reason="silent", node={"fault": fault_server.SILENT}, planes=3),
    Trial(
        probe="nodes-inside",
        fault="another InternalIP",
        reason="wrong-address",
        server=_answers(
            _item(resources.NODES, _node_status("10.0.0.9")),
            _item(resources.SERVICES, _SERVICE, namespace=CLUSTER),
        ),
    ),
    Trial(
        probe="nodes",
        fault="another kubelet",
        reason="wrong-ca",
        node={"certificate": fault_server.OTHER_CA},
    ),
    Trial(
        probe="service",
        fault="default page",
        reason="wrong-body",
        node={"tls": False, **_answers(("GET", "/", 200, b"It works!"))},
    ),
    Trial(
        probe="service",
        fault="a replayed answer",
        reason="stale",
        node={"tls": False, **_answers(("GET", "/", 200, WEB + b"proof=" + b"0" * 64 + b"\n"))},
    ),
    Trial(probe="service", fault="hangs", reason="silent", node={"tls": False, "fault": fault_server.SILENT}),
    Trial(
        probe="service-inside",
        fault="no endpoint",
        reason="no-endpoints",
        server=_answers(_item(resources.ENDPOINT_SLICES, namespace=names.NAMESPACE_WORKLOAD)),
    ),
    Trial(
        probe="write",
        fault="a full quota",
        reason="quota",
        server=_answers(("GET", CANARIES, 200, {"items": []}), ("POST", CANARIES, 403, _FULL)),
    ),
    Trial(
        probe="write", fault="a lost write", reason="lost-write", server={"answers": HEALTHY, "answer": _lose_writes}
    ),
    Trial(probe="etcd", fault="no leader", reason="no-leader", node=_LEADERLESS),
    Trial(probe="etcd", fault="an alarm", reason="alarm", node=_ALARMED),
    Trial(probe="etcd", fault="a silent member", reason="no-quorum", node={"fault": fault_server.SILENT}),
    Trial(
        probe="certificates",
        fault="ends in 6 days",
        reason="expires-soon",
        server=_answers(_item(resources.SECRETS, namespace=CLUSTER)),
        keys_life=timedelta(days=6),
    ),
    Trial(
        probe="store",
        fault="a value inside that is not the store's",
        reason="store",
        server=_answers(
            ("GET", resources.CLUSTER_SECRET_STORES.build_path(None, "kinky"), 200, _VALID),
            ("GET", resources.EXTERNAL_SECRETS.build_path(names.NAMESPACE_KINKY, CANARY_VALUE), 200, _SYNCED),
            ("GET", resources.SECRETS.build_path(names.NAMESPACE_KINKY, CANARY_VALUE), 200, _STALE_SECRET),
        ),
    ),
    Trial(
        probe="store-trip", fault="an API that refuses", reason="refused-call", server={"answer": lambda *_: (400, {})}
    ),
    Trial(
        probe="scheduling",
        fault="a pod that never runs",
        reason="no-answer-of-pod",
        server={"answers": HEALTHY, "answer": _never_run},
    ),
    Trial(probe="clock", fault="a clock 10 s ahead", reason="own-clock", server={**_answers(), "date_offset": 10.0}),
    Trial(probe="gate", fault="no wall", reason="wall", server=_answers(_item(resources.NODES))),
    Trial(
        probe="host",
        fault="a VM that is stopped",
        reason="vm-not-running",
        server=_answers(_item(resources.VIRTUAL_MACHINES, _STOPPED, namespace=CLUSTER)),
    ),
    Trial(
        probe="dns",
        fault="no DNS server",
        reason="no-pod",
        server=_answers(_item(resources.PODS, namespace="kube-system")),
    ),
)
