"""Types of single values: each says in words what is wrong, and tells the JSON schema what it can."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kinky import names
from kinky.config import forms
from kinky.config.spelling import Fault, spelled
from kinky.releases import list_releases

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
OBJECT_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""A DNS name in Kubernetes' form: its parts may be longer than in the DNS."""
LABEL_PREFIX = f"((?=[^/]{{1,253}}/){OBJECT_NAME}/)?"
LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(LABEL_PREFIX + LABEL_NAME)
LABEL_VALUE = re.compile(f"({LABEL_NAME})?")
ANNOTATION_KEY = re.compile(LABEL_PREFIX.replace("a-z", "A-Za-z") + LABEL_NAME)
"""Kubernetes changes an annotation's key to lower case before its check, but not a label's key."""
TAINT = re.compile(f"{LABEL_PREFIX}{LABEL_NAME}(=({LABEL_NAME})?)?:(NoSchedule|PreferNoSchedule|NoExecute)")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
STORE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
IMAGE = re.compile(
    r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
# The YAML of a server-side apply, a file name or UTF-8 cannot hold these (U+0085 arrives as a space).
CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
LINE = re.compile(rf"(?=.*\S)[^\n{CONTROLS}]*")
LINES = re.compile(rf"[^{CONTROLS}]*")
ONE_FILE = re.compile(rf"(?=.*\S)[^:\n{CONTROLS}]*")
AUDIENCE = re.compile(r"[!-+\--~]+")

NODE_PORTS = range(30000, 32768)
"""The default range of an API server, and that of every inner cluster."""
PUBLISHED_LIMIT = 64
"""Each port is listed for TCP and UDP, and a host writes its rules for each."""

SOCKET = re.compile(r"/run/(?!(containerd|kinky|systemd)/)[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")
"""The API server sees the socket's whole folder: it may be nobody else's."""


@dataclass(frozen=True)
class Rule:
    """A rule on one value: `problem` returns what is wrong with it, or None."""

    problem: Callable[[Any], str | None]
    schema: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Run the rule after the value has its type."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add what the rule can say in JSON schema's words."""
        return {**handler(schema), **self.schema}

    def _checked(self, value: object) -> object:
        problem = self.problem(value)
        if problem is not None:
            raise PydanticCustomError("rule", "{problem}", {"problem": problem})
        return value


def within(first: int, last: int, *, because: str | None = None) -> Rule:
    """Return the rule that a whole number lies between the two, both included."""
    text = f"must be from {first} to {last}" + (f", because {because}" if because else "")
    return Rule(lambda value: None if first <= value <= last else text, {"minimum": first, "maximum": last})


def matching(pattern: re.Pattern[str], find: Callable[[str], Fault | None], what: str, *, longest: int = 253) -> Rule:
    """Return the rule for the form of a text.

    Args:
        pattern: The final rule, which editors also get from the JSON schema.
        find: Returns the first rule that a text breaks.
        what: The end of the sentence "must be", for a text that only `pattern` refuses.
    """

    def problem(text: str) -> str | None:
        if len(text) > longest:
            return f"must have at most {longest} characters, has {len(text)}"
        return find(text) or (None if pattern.fullmatch(text) else f"must be {what}")

    return Rule(problem, {"pattern": f"^({pattern.pattern})$", "maxLength": longest})


def _cidr_problem(text: str) -> str | None:
    """Return what keeps the text from being an IPv4 network in its plain form."""
    fault = forms.find_ipv4_network_fault(text)
    if fault is None and str(network := ipaddress.ip_network(text, strict=False)) != text:
        return f"must be the network itself, not an address in it: {network}"
    return fault


def _one_family_problem(cidrs: tuple[str, ...]) -> str | None:
    return (
        None
        if len(cidrs) == 1
        else f"must hold exactly one network, holds {len(cidrs)}: this release gives nodes one family"
    )


_NODE_PORT = within(NODE_PORTS[0], NODE_PORTS[-1], because="Kubernetes serves NodePorts there")


def expand_ports(item: object) -> range:
    """Return the ports of one port or of a range such as 30000-30010; a `ValueError` tells that the text is neither."""
    first, dash, last = str(item).partition("-")
    if not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise ValueError(item)
    return range(int(first), int(last or first) + 1)


def _check_ports(item: object) -> object:
    """Check one port or one range; before pydantic does, which would report a wrong type once for each right one."""
    if problem := _ports_problem(item):
        raise PydanticCustomError("rule", "{problem}", {"problem": problem})
    return item


def _ports_problem(item: object) -> str | None:
    try:
        ports = expand_ports(item) if type(item) in (int, str) else None
    except ValueError:
        ports = None
    if ports is None:
        return "must be a port, or a range of ports such as 30000-30010"
    if not ports:
        return "must begin with the lower port"
    return _NODE_PORT.problem(ports[0]) or _NODE_PORT.problem(ports[-1])


def _many_ports_problem(items: tuple[int | str, ...]) -> str | None:
    count = sum(len(expand_ports(item)) for item in items)
    text = f"must name at most {PUBLISHED_LIMIT} ports, names {count}: each is listed in a Service for each node"
    return text if count > PUBLISHED_LIMIT else None


_NAME = "lower-case letters, digits and hyphens, starting with a letter"
_LABEL = "lower-case letters, digits and hyphens, no hyphen at an end"
Name = Annotated[str, matching(names.DNS_LABEL, spelled(forms.NAME), _NAME, longest=names.DNS_LABEL_LIMIT)]
Label = Annotated[str, matching(LABEL, spelled(forms.LABEL), _LABEL, longest=names.DNS_LABEL_LIMIT)]
"""A part of a name, or a namespace; unlike a Service's name, it may start with a digit."""
EmptyOrLabel = Annotated[
    str,
    matching(
        re.compile(f"({LABEL.pattern})?"),
        lambda text: spelled(forms.LABEL)(text) if text else None,
        _LABEL,
        longest=names.DNS_LABEL_LIMIT,
    ),
]
ObjectName = Annotated[
    str, matching(re.compile(OBJECT_NAME), forms.find_object_name_fault, "the name of an object of Kubernetes")
]
Subdomain = Annotated[str, matching(SUBDOMAIN, forms.find_subdomain_fault, "a DNS name in lower case")]
Text = Annotated[str, matching(LINE, forms.find_text_fault, "a line of text that is not empty", longest=4096)]
FilePath = Annotated[str, matching(ONE_FILE, forms.find_file_fault, "the path of one file", longest=4096)]
AnnotationValue = Annotated[
    str, matching(LINES, forms.find_control_fault, "text without control characters", longest=65536)
]
Audience = Annotated[str, matching(AUDIENCE, forms.find_audience_fault, "an audience")]
ImageReference = Annotated[str, matching(IMAGE, forms.find_image_fault, "an image with its registry", longest=512)]
HttpsAddress = Annotated[str, matching(HTTPS, forms.find_https_fault, "a URL of https with a host")]
StorePath = Annotated[str, matching(STORE_PATH, forms.find_store_path_fault, "a path", longest=200)]
Socket = Annotated[str, matching(SOCKET, forms.find_socket_fault, "a socket in a folder below /run", longest=100)]
LabelKey = Annotated[str, matching(LABEL_KEY, forms.find_label_key_fault, "a label key", longest=317)]
AnnotationKey = Annotated[
    str, matching(ANNOTATION_KEY, forms.find_annotation_key_fault, "an annotation's key", longest=317)
]
LabelValue = Annotated[str, matching(LABEL_VALUE, forms.find_label_value_fault, "a label value", longest=63)]
Taint = Annotated[str, matching(TAINT, forms.find_taint_fault, "a taint", longest=512)]
Cidr = Annotated[str, Rule(_cidr_problem, {"pattern": r"^[0-9.]+/[0-9]+$"})]
OneFamily = Rule(_one_family_problem, {"minItems": 1, "maxItems": 1})
Port = Annotated[int, within(1, 65535)]
LocalPort = Annotated[int, within(1024, 65535, because="lower ports need root")]
NodePort = Annotated[int, _NODE_PORT]
NodePorts = Annotated[
    tuple[Annotated[int | str, BeforeValidator(_check_ports)], ...],
    Field(strict=False),
    Rule(_many_ports_problem),
]
"""Ports, and ranges of ports."""
CpuModel = Annotated[str, matching(re.compile(LABEL_NAME), forms.find_cpu_model_fault, "a processor model", longest=63)]
"""KubeVirt finds the model by a node's label, so it has the form of a label."""
Cores = Annotated[int, within(1, 256)]
DiskGib = Annotated[int, within(1, 65536)]
ControlPlaneCount = Annotated[
    int,
    Rule(
        lambda count: None if count in (1, 3) else "must be 1 or 3, because etcd needs an odd number to keep a quorum",
        {"enum": [1, 3]},
    ),
]
KUBERNETES_VERSIONS = tuple(release.kubernetes_version for release in list_releases())
"""The versions that a node image can be built for; an image holds the system images of exactly one of them."""
KubernetesVersion = Annotated[
    str,
    Rule(
        lambda version: None if version in KUBERNETES_VERSIONS else f"must be one of: {', '.join(KUBERNETES_VERSIONS)}",
        {"enum": list(KUBERNETES_VERSIONS)},
    ),
]
