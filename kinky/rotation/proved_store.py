"""The sub-step that proves the secrets store as the gate does, with what a rotation has changed."""

from __future__ import annotations

from kinky.gate.proof import ProofSpec, prove_store
from kinky.manifests import secrets_store
from kinky.operations.plan import SubStep
from kinky.progress import Phase
from kinky.rotation.site import KeySite

LIMIT_SECONDS = 300.0
"""External Secrets runs already; the gate's own proof, which waits for its start as well, has the double."""


def build_proof(site: KeySite, *, name: str, title: str) -> SubStep:
    """Build the sub-step; it collects all evidence again and leaves the gate's own record as it is."""
    limit = site.scale(LIMIT_SECONDS)

    def prove(_running: Phase) -> str:
        proof = ProofSpec(
            store=secrets_store.STORE,
            source=site.store,
            probes=site.probes,
        )
        record = prove_store(site.reach, proof, limit_seconds=limit)
        return f"{len(record.items)} items of evidence, a value arrives in {record.first_seconds} s"

    return SubStep(name=name, title=title, run=prove, limit_seconds=limit)
