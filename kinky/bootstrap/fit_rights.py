"""Whether the operator may do on the host what the program will do, asked verb by verb."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kinky.config.model import KinkyConfig
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.kube.resources import Resource

PARALLEL_CALLS = 8
READ_WRITE = ("get", "list", "create", "patch", "delete")


@dataclass(frozen=True)
class Right:
    """One verb on one kind of object."""

    verb: str
    resource: Resource
    subresource: str = ""

    @property
    def object_name(self) -> str:
        """Name the kind as RBAC rules do, such as `virtualmachines.kubevirt.io`."""
        plural = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        return f"{plural}.{self.resource.group}" if self.resource.group else plural


def build_rights(cfg: KinkyConfig, *, namespace_exists: bool) -> Iterator[Right]:
    """Yield the rights that this configuration needs."""
    if not namespace_exists:
        yield Right("create", resources.NAMESPACES)
    yield from (Right(verb, resources.VIRTUAL_MACHINES) for verb in READ_WRITE)
    yield from (Right(verb, resources.VIRTUAL_MACHINE_INSTANCES) for verb in ("get", "list", "delete"))
    yield from (Right(verb, resources.SECRETS) for verb in (*READ_WRITE, "update"))
    for resource in (
        resources.SERVICES,
        resources.CONFIG_MAPS,
        resources.SERVICE_ACCOUNTS,
        resources.ROLES,
        resources.ROLE_BINDINGS,
        resources.NETWORK_POLICIES,
    ):
        yield from (Right(verb, resource) for verb in READ_WRITE)
    if not cfg.cluster.ephemeral:
        yield from (Right(verb, resources.PVCS) for verb in READ_WRITE)
    yield Right("create", resources.SERVICE_ACCOUNTS, "token")
    yield from (Right(verb, resources.PODS) for verb in ("get", "list"))
    if cfg.access.mode == "forward":
        yield Right("create", resources.PODS, "portforward")
    if cfg.virtual_machine.serial_console_log != "never":
        yield Right("get", resources.PODS, "log")


def fetch_missing(api: HostApi, cfg: KinkyConfig, *, namespace_exists: bool) -> list[str]:
    """Ask for each right, and describe those that are missing, one line for each kind of object."""
    rights = list(build_rights(cfg, namespace_exists=namespace_exists))

    def ask(right: Right) -> bool:
        return api.is_allowed(right.verb, right.resource, subresource=right.subresource)

    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        answers = list(pool.map(ask, rights))
    missing: dict[str, list[str]] = {}
    for right, allowed in zip(rights, answers, strict=True):
        if not allowed:
            missing.setdefault(right.object_name, []).append(right.verb)
    return [f"no right to {', '.join(verbs)} {kind}" for kind, verbs in missing.items()]
