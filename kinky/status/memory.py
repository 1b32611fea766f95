"""This machine's memory of a cluster between looks: since when outside and inside differ."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from kinky import paths
from kinky.kube.kubeconfig import write_private
from kinky.status.judgement import Verdict

FILE = "status.json"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The memory; it belongs to one identity of the cluster and is empty for another one."""

    cluster_id: str
    """Identity of the cluster in its record on the host: a cluster that is made again has another one."""
    disagree_since: Mapping[str, str] = field(default_factory=dict)

    def learn(self, verdicts: Iterable[Verdict]) -> Memory:
        """Return the memory after one judgement."""
        since = {each.capability: each.disagree_since for each in verdicts if each.disagree_since}
        return Memory(cluster_id=self.cluster_id, disagree_since=since)


def read_memory(cluster: str, cluster_id: str) -> Memory:
    """Read what is remembered; empty for a cluster that was made since, and for a damaged file."""
    try:
        kept = Memory(**json.loads((paths.stack_dir(cluster) / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return Memory(cluster_id=cluster_id)
    return kept if kept.cluster_id == cluster_id else Memory(cluster_id=cluster_id)


def write_memory(cluster: str, memory: Memory) -> None:
    """Keep it; without room or rights the next look remembers less."""
    with contextlib.suppress(OSError):
        write_private(paths.stack_dir(cluster) / FILE, json.dumps(asdict(memory), indent=2).encode())
