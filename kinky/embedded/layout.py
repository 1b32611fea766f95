"""Where the embedded host keeps its files and which addresses it uses; the one place with these facts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kinky import names, paths

NODE_NAME = "kinky-host"
NODE_ADDRESS = "10.84.0.1"
NODE_CIDR = "10.84.0.1/24"
POD_CIDR = "10.85.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
API_PORT = 6443
NODE_BRIDGE = "kinky0"
DEFAULT_OUTSIDE_PORT = 16440
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
CNI_PLUGINS = Path("/usr/lib/cni")
MODULE = "kinky.embedded.sandbox"
PAUSE_IMAGE = f"{names.IMAGE_PREFIX}/host-pause:1"


@dataclass(frozen=True)
class Layout:
    """The files below one state directory of the host; they are kept when the host stops."""

    root: Path

    @property
    def key(self) -> str:
        """Return eight hexadecimal digits that tell this host from another one on the same machine."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def cgroup(self) -> str:
        """Return the name of the control group that holds the host, below the root of each hierarchy."""
        return f"kinky-{self.key}"

    @property
    def marker(self) -> str:
        """Return text that only this host's sandbox has in its command line."""
        return f"{MODULE} {self.root} --listen-fd"

    @property
    def lock(self) -> Path:
        """Return the lock that `up`, `down` and `load` hold."""
        return self.root.parent / f"{self.root.name}.lock"

    @property
    def record(self) -> Path:
        """Return host.json: process, port, accelerator of the host that was started last."""
        return self.root / "host.json"

    @property
    def specification(self) -> Path:
        """Return what the sandbox is to run."""
        return self.root / "components.json"

    @property
    def observed(self) -> Path:
        """Return what the supervisor says of each component."""
        return self.root / "observed.json"

    @property
    def kubeconfig(self) -> Path:
        """Return the kubeconfig for use from outside the sandbox."""
        return self.root / "kubeconfig.yaml"

    @property
    def door(self) -> Path:
        """Return the socket through which this machine reaches pods; `paths.host_door` names it for others."""
        return self.root / paths.host_door().name

    @property
    def pki(self) -> Path:
        """Return the directory of the host's certificates and keys."""
        return self.root / "kubernetes" / "pki"

    @property
    def kubernetes(self) -> Path:
        """Return the directory of the components' kubeconfigs and configuration files."""
        return self.root / "kubernetes"

    @property
    def etcd(self) -> Path:
        """Return etcd's data directory."""
        return self.root / "etcd"

    @property
    def containerd(self) -> Path:
        """Return containerd's root: content, snapshots, metadata."""
        return self.root / "containerd"

    @property
    def cni(self) -> Path:
        """Return the directory with the CNI network configuration."""
        return self.root / "cni"

    @property
    def logs(self) -> Path:
        """Return the directory with one log file for each component."""
        return self.root / "logs"

    @property
    def volumes(self) -> Path:
        """Return what the hostpath provisioner sees as /tmp/hostpath_pv."""
        return self.root / "volumes"

    @property
    def binds(self) -> tuple[tuple[Path, Path], ...]:
        """Return (directory kept here, where the programs in the sandbox expect it)."""
        return (
            (self.root / "kubelet", Path("/var/lib/kubelet")),
            (self.root / "pod-logs", Path("/var/log/pods")),
            (self.root / "container-logs", Path("/var/log/containers")),
            (self.root / "node-labeller", Path("/var/lib/kubevirt-node-labeller")),
            (self.root / "cni-state", Path("/var/lib/cni")),
            # The provisioner in kube-controller-manager has this path built in.
            (self.volumes, Path("/tmp/hostpath_pv")),  # noqa: S108
        )

    def find_outside(self, path: Path) -> Path | None:
        """Return where a path of the host's node is kept here; None if it is not."""
        for kept, seen in self.binds:
            if path.is_relative_to(seen):
                return kept / path.relative_to(seen)
        return None

    @property
    def mount_points(self) -> Path:
        """Return the file that lists the directories which were made on the machine to mount something there."""
        return self.root / "mount-points"

    @property
    def kernel_settings(self) -> Path:
        """Return the file with the kernel's settings as they were before the host changed them."""
        return self.root / "kernel-settings.json"

    def log(self, component: str) -> Path:
        """Return the log file of a component."""
        return self.logs / f"{component}.log"

    def create(self) -> None:
        """Make the directories that are missing, all private."""
        kept = [source for source, _ in self.binds]
        for path in (self.kubernetes, self.pki, self.etcd, self.containerd, self.cni, self.logs, *kept):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # QEMU runs as user 107 and has to reach its disks below these two.
        for path in (self.root / "kubelet", self.volumes):
            path.chmod(0o755)


def default_layout() -> Layout:
    """Return the layout below the user's state directory."""
    return Layout(paths.host_dir())
