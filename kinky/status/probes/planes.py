"""Each API server by itself, where there are several: the published path leads to any of them."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.errors import KinkyError
from kinky.status.observation import Observation, Side, Watch
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.probes.api import CAPABILITY, LOOPBACK, ask_server, find_hint
from kinky.status.target import Target
from kinky.status.wire import Place, WireError

SECONDS: Final = 3.0
LIMIT_SECONDS: Final = 8.0


def look(target: Target) -> list[Observation]:
    """Ask each of several control planes past the published path; it is the inside view of `api`."""
    if len(target.planes) == 1:
        return []
    jobs = {node.name: _build_job(target, node.name) for node in target.planes}
    return list(run_side_by_side(jobs).values())


def _build_job(target: Target, node: str) -> Job[Observation]:
    watch = Watch(CAPABILITY, node, Side.INSIDE)
    hint = find_hint(target, "").replace(target.planes[0].name, node)

    def work() -> Observation:
        host = names.endpoint_host(target.cluster)
        try:
            with target.open_port(node, names.ENDPOINT_PORT) as port:
                place = Place(address=LOOPBACK, port=port, host=host, context=target.build_context(), server_name=host)
                ask_server(place, seconds=target.limit(SECONDS))
        except WireError as error:
            return watch.bad(error.reason, f"its API server: {error.detail}", hint=hint)
        except KinkyError as error:
            return watch.unreached(error, hint=hint)
        return watch.good("its API server is ready")

    return Job(
        work=work,
        limit_seconds=LIMIT_SECONDS,
        late=lambda: watch.bad("silent", f"its API server has not answered for {LIMIT_SECONDS:g} s", hint=hint),
        failed=lambda error: watch.bad("failed", f"not asked: {type(error).__name__}", hint=hint),
    )
