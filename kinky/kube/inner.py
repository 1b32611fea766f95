"""`InnerApi`: what KinKy reads and writes inside the cluster that it formed."""

from kinky.kube import resources
from kinky.kube.access import InnerAccess
from kinky.kube.connection import JsonObject, open_inner
from kinky.kube.objects import ObjectApi
from kinky.kube.records import NodeStatus

SCHEMA_SECONDS = 300.0
"""An API server makes its OpenAPI document at the first call; an emulated one took more than 32 s for it."""

METRICS_SECONDS = 60.0
"""Some megabytes of text, which an emulated API server takes seconds to write."""


class InnerApi(ObjectApi):
    """The inner cluster's API, reached through the published path with the admin's credential."""

    @classmethod
    def connect(cls, access: InnerAccess) -> "InnerApi":
        """Open the API; sends nothing yet."""
        return cls(open_inner(access))

    def is_ready(self) -> bool:
        """Tell whether `/readyz` answers 200; raises ApiError when there is no answer at all."""
        reply = self._connection.call("GET", "/readyz", what="get /readyz", allowed=(500,), timeout_seconds=10)
        return reply.status == 200

    def fetch_schema_size(self) -> int:
        """Fetch the OpenAPI document in the form that the Pulumi provider asks for; return its size in bytes."""
        reply = self._connection.call(
            "GET",
            "/openapi/v2",
            what="get the OpenAPI document",
            accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            timeout_seconds=SCHEMA_SECONDS,
        )
        return len(reply.body)

    def fetch_version(self) -> str:
        """Fetch the Kubernetes version of the API server that answered."""
        reply = self._connection.call("GET", "/version", what="get the version")
        return str(reply.parse().get("gitVersion", ""))

    def fetch_cluster_uid(self) -> str:
        """Fetch the identity of the cluster: the UID of kube-system, or empty before it exists."""
        body: JsonObject | None = self.fetch(resources.NAMESPACES, "kube-system")
        return str(((body or {}).get("metadata") or {}).get("uid", ""))

    def fetch_nodes(self) -> dict[str, NodeStatus]:
        """Fetch the state of all nodes, by name."""
        return {status.name: status for status in map(NodeStatus.parse, self.fetch_all(resources.NODES))}

    def probe_binding(self, namespace: str, name: str) -> tuple[int, str]:
        """Try, as a dry run, to bind a pod that is not there; return status and message of the answer.

        Admission comes before the look for the pod, and needs neither a ServiceAccount nor a node.
        """
        reply = self._connection.call(
            "POST",
            resources.PODS.build_path(namespace, name, "binding"),
            what=f"try to bind pod {namespace}/{name}",
            query={"dryRun": "All"},
            body={
                "apiVersion": resources.BINDINGS.api_version,
                "kind": resources.BINDINGS.kind,
                "metadata": {"name": name},
                "target": {"apiVersion": resources.NODES.api_version, "kind": resources.NODES.kind, "name": name},
            },
            allowed=(403, 404, 409, 422),
        )
        return reply.status, str(reply.parse().get("message", ""))

    def evict(self, name: str, *, namespace: str, uid: str) -> str:
        """Ask for the eviction of a pod; return why it is refused for now, or empty when it ends or is gone.

        Raises:
            ApiError: The API refuses for another reason than a PodDisruptionBudget.
        """
        reply = self._connection.call(
            "POST",
            resources.PODS.build_path(namespace, name, "eviction"),
            what=f"evict pod {namespace}/{name}",
            body={
                "apiVersion": resources.EVICTIONS.api_version,
                "kind": resources.EVICTIONS.kind,
                "metadata": {"name": name, "namespace": namespace},
                # A newer pod of that name, such as a StatefulSet's, stays.
                "deleteOptions": {"preconditions": {"uid": uid}},
            },
            allowed=(404, 409, 429),
        )
        return str(reply.parse().get("message") or "not now") if reply.status == 429 else ""

    def fetch_token_keys(self) -> set[str]:
        """Fetch the ids of the keys whose tokens the API server that answers accepts."""
        reply = self._connection.call("GET", "/openid/v1/jwks", what="get the public keys of tokens")
        return {str(key.get("kid", "")) for key in reply.parse().get("keys") or []}

    def fetch_metrics(self) -> str:
        """Fetch the metrics of the API server that answers."""
        reply = self._connection.call("GET", "/metrics", what="get the metrics", timeout_seconds=METRICS_SECONDS)
        return reply.body.decode(errors="replace")

    def fetch_node_metrics(self, node: str) -> str:
        """Fetch the metrics of a node's kubelet, which the API server asks with its own client certificate."""
        reply = self._connection.call(
            "GET",
            f"{resources.NODES.build_path(None, node)}/proxy/metrics",
            what=f"get the metrics of the kubelet of {node}",
            timeout_seconds=METRICS_SECONDS,
        )
        return reply.body.decode(errors="replace")

    def fetch_image_room(self, node: str) -> tuple[int, int]:
        """Fetch how many bytes are free on the disk where a node keeps its images, and how many it has."""
        reply = self._connection.call(
            "GET",
            f"{resources.NODES.build_path(None, node)}/proxy/stats/summary",
            what=f"get the statistics of the kubelet of {node}",
            timeout_seconds=METRICS_SECONDS,
        )
        disk = ((reply.parse().get("node") or {}).get("runtime") or {}).get("imageFs") or {}
        return int(disk.get("availableBytes") or 0), int(disk.get("capacityBytes") or 0)

    def fetch_pod_page(self, namespace: str, pod: str, path: str, *, port: int) -> str:
        """Fetch a page of a pod through the API server's proxy, which reaches it over the pod network."""
        reply = self._connection.call(
            "GET",
            f"{resources.PODS.build_path(namespace, f'{pod}:{port}')}/proxy{path}",
            what=f"ask pod {namespace}/{pod}",
            timeout_seconds=5,
        )
        return reply.body.decode(errors="replace")

    def fetch_service_page(self, namespace: str, service: str, *, port: str) -> str:
        """Fetch the first page of a Service through the API server's proxy."""
        reply = self._connection.call(
            "GET",
            f"/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/",
            what=f"ask Service {namespace}/{service}",
            timeout_seconds=10,
        )
        return reply.body.decode(errors="replace")
