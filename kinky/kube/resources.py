"""The kinds of object that KinKy touches, and their paths in the API."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """One kind of object: where the API serves it, and the word for people."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Group and version as an object's `apiVersion` has it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_path(self) -> str:
        """Path of the group and version, where discovery answers."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def build_path(self, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """Build the path of the collection, or of one object."""
        parts = [self.group_path]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


ADMISSION_POLICIES = Resource(
    "ValidatingAdmissionPolicy", "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", namespaced=False
)
ADMISSION_POLICY_BINDINGS = Resource(
    "ValidatingAdmissionPolicyBinding",
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
BINDINGS = Resource("Binding", "", "v1", "bindings")
CLUSTER_ROLE_BINDINGS = Resource(
    "ClusterRoleBinding", "rbac.authorization.k8s.io", "v1", "clusterrolebindings", namespaced=False
)
CLUSTER_ROLES = Resource("ClusterRole", "rbac.authorization.k8s.io", "v1", "clusterroles", namespaced=False)
CONFIG_MAPS = Resource("ConfigMap", "", "v1", "configmaps")
DAEMON_SETS = Resource("DaemonSet", "apps", "v1", "daemonsets")
ENDPOINT_SLICES = Resource("EndpointSlice", "discovery.k8s.io", "v1", "endpointslices")
EVICTIONS = Resource("Eviction", "policy", "v1", "evictions")
EVENTS = Resource("Event", "", "v1", "events")
JOBS = Resource("Job", "batch", "v1", "jobs")
LIMIT_RANGES = Resource("LimitRange", "", "v1", "limitranges")
NAMESPACES = Resource("Namespace", "", "v1", "namespaces", namespaced=False)
NETWORK_POLICIES = Resource("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")
NODES = Resource("Node", "", "v1", "nodes", namespaced=False)
PERSISTENT_VOLUMES = Resource("PersistentVolume", "", "v1", "persistentvolumes", namespaced=False)
POD_DISRUPTION_BUDGETS = Resource("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets")
PODS = Resource("Pod", "", "v1", "pods")
PRIORITY_CLASSES = Resource("PriorityClass", "scheduling.k8s.io", "v1", "priorityclasses", namespaced=False)
PVCS = Resource("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims")
REPLICA_SETS = Resource("ReplicaSet", "apps", "v1", "replicasets")
REPLICATION_CONTROLLERS = Resource("ReplicationController", "", "v1", "replicationcontrollers")
RESOURCE_QUOTAS = Resource("ResourceQuota", "", "v1", "resourcequotas")
ROLE_BINDINGS = Resource("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings")
ROLES = Resource("Role", "rbac.authorization.k8s.io", "v1", "roles")
SECRETS = Resource("Secret", "", "v1", "secrets")
SERVICE_ACCOUNTS = Resource("ServiceAccount", "", "v1", "serviceaccounts")
SERVICE_CIDRS = Resource("ServiceCIDR", "networking.k8s.io", "v1", "servicecidrs", namespaced=False)
SERVICES = Resource("Service", "", "v1", "services")
STORAGE_CLASSES = Resource("StorageClass", "storage.k8s.io", "v1", "storageclasses", namespaced=False)
STATEFUL_SETS = Resource("StatefulSet", "apps", "v1", "statefulsets")
SELF_REVIEWS = Resource("SelfSubjectReview", "authentication.k8s.io", "v1", "selfsubjectreviews", namespaced=False)
ACCESS_REVIEWS = Resource(
    "SelfSubjectAccessReview", "authorization.k8s.io", "v1", "selfsubjectaccessreviews", namespaced=False
)

VIRTUAL_MACHINES = Resource("VirtualMachine", "kubevirt.io", "v1", "virtualmachines")
VIRTUAL_MACHINE_INSTANCES = Resource("VirtualMachineInstance", "kubevirt.io", "v1", "virtualmachineinstances")
KUBEVIRTS = Resource("KubeVirt", "kubevirt.io", "v1", "kubevirts")

EXTERNAL_SECRETS = Resource("ExternalSecret", "external-secrets.io", "v1", "externalsecrets")
CLUSTER_SECRET_STORES = Resource(
    "ClusterSecretStore", "external-secrets.io", "v1", "clustersecretstores", namespaced=False
)
