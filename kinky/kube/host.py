"""`HostApi`: what KinKy reads and writes on the host cluster, in one namespace."""

from dataclasses import replace

from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject, open_host
from kinky.kube.ownership import OwnedObjects
from kinky.kube.records import EventRecord, PodStatus, VmiStatus, VmStatus
from kinky.kube.resources import Resource

LAUNCHER_LABEL = "kubevirt.io=virt-launcher"
CONSOLE_CONTAINER = "guest-console-log"
LOG_LIMIT_BYTES = 262_144
"""The stage lines are short; a console that fills more than this has other troubles."""
WHOLE_LOG_SECONDS = 120.0
"""The kubelet keeps at most 10 MiB of a log at hand, which an emulated host takes its time to send."""


class HostApi(OwnedObjects):
    """The host cluster, seen from one namespace of it."""

    @classmethod
    def connect(cls, access: HostAccess) -> "HostApi":
        """Open the API; raises HostError when the kubeconfig cannot be used. Sends nothing yet."""
        return cls(open_host(access), access)

    def without_identity(self) -> "HostApi":
        """Return the same API for a cluster whose record does not hold its identity yet."""
        return HostApi(self._connection, replace(self.access, cluster_id=""))

    def fetch_version(self) -> str:
        """Fetch the Kubernetes version of the host."""
        reply = self._connection.call("GET", "/version", what="get the version", timeout_seconds=10)
        return str(reply.parse().get("gitVersion", ""))

    def is_served(self, resource: Resource) -> bool:
        """Tell whether the API serves this kind."""
        reply = self._connection.call(
            "GET", resource.group_path, what=f"discover {resource.api_version}", allowed=(404,)
        )
        # Of a group that it does not know, the API says so in plain text.
        served = [] if reply.status == 404 else reply.parse().get("resources") or []
        return any(item.get("name") == resource.plural for item in served)

    def is_allowed(
        self, verb: str, resource: Resource, *, subresource: str = "", namespace: str = "", name: str = ""
    ) -> bool:
        """Ask the API whether the admin may do this in the namespace (or another), or to the namespace."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
        attributes |= {"name": name} if name else {}
        attributes |= {"subresource": subresource} if subresource else {}
        if resource.namespaced:
            attributes |= {"namespace": namespace or self.namespace}
        elif resource == resources.NAMESPACES and verb != "create":
            # For the API a namespace lies in itself, so a Role in it can give rights on it.
            attributes |= {"namespace": self.namespace, "name": self.namespace}
        reply = self._connection.call(
            "POST",
            resources.ACCESS_REVIEWS.build_path(None),
            what=f"ask whether {verb} {resource.plural} is allowed",
            body={
                "apiVersion": resources.ACCESS_REVIEWS.api_version,
                "kind": resources.ACCESS_REVIEWS.kind,
                "spec": {"resourceAttributes": attributes},
            },
        )
        return bool((reply.parse().get("status") or {}).get("allowed"))

    def find_certificate_fault(self, cas: bytes) -> str:
        """Return why a client with these CAs would not trust this server; empty when it would.

        Raises:
            UnavailableError: the server did not answer.
        """
        return self._connection.find_certificate_fault(cas)

    def fetch_here(self, resource: Resource, name: str) -> JsonObject | None:
        """Fetch one object of the namespace."""
        return self.fetch(resource, name, namespace=self.namespace)

    def fetch_all_here(self, resource: Resource, *, selector: str = "") -> list[JsonObject]:
        """List objects of the namespace."""
        return self.fetch_all(resource, namespace=self.namespace, selector=selector)

    def fetch_secret_here(self, name: str) -> dict[str, bytes] | None:
        """Fetch the values of one Secret of the namespace; the caller must not log or return them."""
        return self.fetch_secret_data(name, namespace=self.namespace)

    def fetch_vm(self, name: str) -> VmStatus | None:
        """Fetch the state of one VM."""
        body = self.fetch_here(resources.VIRTUAL_MACHINES, name)
        return VmStatus.parse(body) if body else None

    def fetch_vms(self, selector: str) -> dict[str, VmStatus]:
        """Fetch the state of the VMs with these labels, by name."""
        bodies = self.fetch_all_here(resources.VIRTUAL_MACHINES, selector=selector)
        return {status.name: status for status in map(VmStatus.parse, bodies)}

    def fetch_vmi(self, name: str) -> VmiStatus | None:
        """Fetch the state of one VMI."""
        body = self.fetch_here(resources.VIRTUAL_MACHINE_INSTANCES, name)
        return VmiStatus.parse(body) if body else None

    def fetch_pods(self, selector: str) -> list[PodStatus]:
        """Fetch the state of the pods with these labels, the newest first."""
        bodies = self.fetch_all_here(resources.PODS, selector=selector)
        bodies.sort(key=lambda body: str(body["metadata"].get("creationTimestamp", "")), reverse=True)
        return [PodStatus.parse(body) for body in bodies]

    def fetch_events(self, name: str) -> list[EventRecord]:
        """Fetch the events about objects of this name, of whatever kind, oldest first."""
        bodies = self.fetch_all(resources.EVENTS, namespace=self.namespace, fields=f"involvedObject.name={name}")
        return sorted(map(EventRecord.parse, bodies), key=lambda event: event.time)

    def fetch_log(self, pod: str, container: str, *, tail_lines: int = 400) -> str:
        """Fetch the end of a container's log; empty before it has one."""
        reply = self._connection.call(
            "GET",
            resources.PODS.build_path(self.namespace, pod, "log"),
            what=f"get the log of pod {pod}",
            query={"container": container, "tailLines": tail_lines, "limitBytes": LOG_LIMIT_BYTES},
            allowed=(400, 404),
        )
        return "" if reply.status in (400, 404) else reply.body.decode(errors="replace")

    def fetch_whole_log(self, pod: str, container: str) -> bytes:
        """Fetch a container's log as it is; empty before it has one."""
        reply = self._connection.call(
            "GET",
            resources.PODS.build_path(self.namespace, pod, "log"),
            what=f"get the whole log of pod {pod}",
            query={"container": container},
            allowed=(400, 404),
            timeout_seconds=WHOLE_LOG_SECONDS,
        )
        return b"" if reply.status in (400, 404) else reply.body
