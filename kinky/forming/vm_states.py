"""The states of a VM: which ones the host can end by itself, and how long that may take.

Most states that look final are pauses: a scheduler waits for a node, a kubelet for a registry, KubeVirt for its own
next try. So KinKy waits too. It gives up only when the state lasts, or when KubeVirt has failed several times.
"""

from dataclasses import dataclass
from enum import Enum

from kinky.forming.requirements import LASTING_SHARE, Clock, Grace, read_clock
from kinky.kube.records import VmStatus

NODE_SHARE = 2 / 3
"""600 s of 900 s: a node autoscaler adds a node in 2 to 8 minutes; the rest is enough for the guest to boot."""
RETRY_SHARE = 1 / 4
"""225 s of 900 s: by then the kubelet has asked the registry five times, with pauses from 10 s to 80 s."""
FAILED_STARTS = 3
"""New failed starts, since the first look, that show a lasting fault: KubeVirt pauses 10, 40 and 90 s between them."""


class Course(Enum):
    """How a state ends."""

    RUNS = "runs"
    ADVANCES = "the host works on it; KinKy waits until the limit"
    RETRIED = "the host tries again by itself; KinKy gives up when it lasts"
    HELD = "only a person ends it"


@dataclass(frozen=True)
class VmState:
    """One state: how it ends, the reason for that, and the hint when it lasts."""

    course: Course
    reason: str
    trouble: str = ""
    """States with the same trouble may alternate, so they count as one state."""
    share: float = 1.0
    """Part of the wait's limit for which the state may last."""
    hint: str = ""


_NO_IMAGE = "the host lacks the node image: kinky host up loads it; on a host of your own push it to image.reference"
_NO_NODE = "free or add room on the host's nodes, or lower memoryMib or cores in the stack file"
_NO_CLAIM = "kubectl describe pvc shows why; controlPlane.etcdStorageClass chooses another StorageClass"

STATES = {
    "Running": VmState(Course.RUNS, "the instance runs"),
    "Migrating": VmState(Course.RUNS, "the instance keeps running while it moves to another node"),
    "Starting": VmState(Course.ADVANCES, "the launcher pod is made and started"),
    "Stopping": VmState(Course.ADVANCES, "the instance ends; with runStrategy Always the next one follows"),
    "Stopped": VmState(Course.ADVANCES, "with runStrategy Always KubeVirt starts it again"),
    "Provisioning": VmState(Course.ADVANCES, "a volume is being filled"),
    "Unknown": VmState(Course.ADVANCES, "its node does not answer now"),
    "WaitingForReceiver": VmState(Course.ADVANCES, "a migration between hosts is about to start"),
    "WaitingForVolumeBinding": VmState(
        Course.RETRIED,
        "the provisioner makes the volume; some wait until a node is chosen",
        "place",
        NODE_SHARE,
        _NO_CLAIM,
    ),
    "ErrorUnschedulable": VmState(
        Course.RETRIED, "the scheduler tries again when a node is added or becomes free", "place", NODE_SHARE, _NO_NODE
    ),
    "ErrorPvcNotFound": VmState(Course.RETRIED, "the claim may be created soon", "claim", RETRY_SHARE, _NO_CLAIM),
    "DataVolumeError": VmState(Course.RETRIED, "an import is tried again", "claim", RETRY_SHARE, _NO_CLAIM),
    "ErrImagePull": VmState(Course.RETRIED, "the kubelet asks the registry again", "image", RETRY_SHARE, _NO_IMAGE),
    "ImagePullBackOff": VmState(
        Course.RETRIED, "the kubelet pauses before it asks again", "image", RETRY_SHARE, _NO_IMAGE
    ),
    # Its pauses grow to 300 s, so the number of failed starts shows more than the time.
    "CrashLoopBackOff": VmState(Course.RETRIED, "KubeVirt pauses before the next start", "start", NODE_SHARE),
    "Paused": VmState(
        Course.HELD,
        "somebody paused it, or its disk is full",
        "Paused",
        LASTING_SHARE,
        "virtctl unpause vm resumes it",
    ),
    "Terminating": VmState(Course.HELD, "somebody has deleted it", "Terminating", LASTING_SHARE),
}
"""Each printableStatus of KubeVirt 1.7."""
OTHER = VmState(Course.ADVANCES, "the state is not set yet, or from another version of KubeVirt")
REFUSED = VmState(Course.RETRIED, "KubeVirt cannot create the instance, and tries again", "create", RETRY_SHARE)
"""A VM with condition Failure in any state but a running one: a quota that is used up, a webhook that restarts."""


def find_state(vm: VmStatus) -> VmState:
    """Find how the VM's state ends."""
    state = STATES.get(vm.printable, OTHER)
    return REFUSED if vm.failure and state.course is not Course.RUNS else state


class VmWatch:
    """Stores for each VM the start of its trouble, and how often KubeVirt has failed to start it."""

    def __init__(self, *, limit_seconds: float, clock: Clock = read_clock) -> None:
        """Start to watch; `limit_seconds` is the limit of the whole wait."""
        self._grace = Grace(limit_seconds=limit_seconds, clock=clock)
        self._starts: dict[str, int] = {}

    def is_lost(self, vm: VmStatus) -> bool:
        """Tell whether waiting longer is of no use."""
        state = find_state(vm)
        if not state.trouble:
            self._grace.clear(vm.name)
        lasts = bool(state.trouble) and self._grace.is_over(vm.name, state.trouble, share=state.share)
        if state.course is Course.RUNS:
            self._starts.pop(vm.name, None)
            return False
        # Failed starts of an earlier run do not count, such as after an early deletion of the instance.
        before = self._starts.setdefault(vm.name, vm.failed_starts)
        if vm.failed_starts < before:
            self._starts[vm.name] = vm.failed_starts
        return lasts or vm.failed_starts - before >= FAILED_STARTS


def describe_state(vm: VmStatus) -> str:
    """Describe a VM's state, with KubeVirt's own details."""
    text = vm.printable
    if vm.failed_starts:
        text += f" ({vm.failed_starts} failed starts in a row"
        text += f", KubeVirt tries again after {vm.retry_after})" if vm.retry_after else ")"
    return f"{text}: {vm.failure}" if vm.failure else text
