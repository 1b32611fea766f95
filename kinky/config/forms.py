"""The forms of texts that have parts: names, labels, images, addresses; each check returns the first broken rule."""

from __future__ import annotations

import re
from typing import Final

from kinky.config.spelling import Fault, Faults, Part, check_list, first_of, show

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
RESERVED_FOLDERS: Final = ("containerd", "kinky", "systemd")
DIGEST: Final = "sha256:"
LARGEST_PORT: Final = 65535

NAME: Final = Part(ranges="a-z0-9", signs="-", first="a-z")
LABEL: Final = Part(ranges="a-z0-9", signs="-")
_DNS_PART: Final = Part(name="a part of the name", ranges="a-z0-9", signs="-", longest=63)
_OBJECT_PART: Final = Part(name="a part of the name", ranges="a-z0-9", signs="-")
_PREFIX: Final = Part(name="a part of the prefix", ranges="a-z0-9", signs="-")
_ANNOTATION_PREFIX: Final = Part(name="a part of the prefix", ranges="a-zA-Z0-9", signs="-")
_PREFIX_LENGTH: Final = 253
_LABEL: Final = Part(name="the name", ranges="a-zA-Z0-9", signs="-_.", longest=63)
_VALUE: Final = Part(name="the value", ranges="a-zA-Z0-9", signs="-_.", longest=63)
_IMAGE: Final = Part(ranges="a-zA-Z0-9", edge="._-/:@")
_REGISTRY: Final = Part(name="the registry", ranges="a-z0-9", first="a-z0-9", edge=".-")
_REPOSITORY: Final = Part(name="a part of the path", ranges="a-z0-9", edge="._-")
_TAG: Final = Part(name="the tag", ranges="a-zA-Z0-9", first="a-zA-Z0-9_", edge="_.-", longest=128)
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_HOST: Final = Part(name="the host", ranges="a-zA-Z0-9", edge=".-")
_STORE_PART: Final = Part(name="a part of the path", ranges="a-zA-Z0-9", first="a-zA-Z0-9_", edge="_.-")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SOCKET_PART: Final = Part(name="a part of the path", ranges="a-z0-9", first="a-z0-9", edge="._-")


def find_subdomain_fault(text: str) -> Fault | None:
    """Check a DNS name."""
    return first_of(check_list(text, ".", _DNS_PART))


def find_object_name_fault(text: str) -> Fault | None:
    """Check the name of an object of Kubernetes."""
    return first_of(check_list(text, ".", _OBJECT_PART))


def find_label_key_fault(text: str) -> Fault | None:
    """Check the key of a label."""
    return first_of(_check_label_key(text))


def find_annotation_key_fault(text: str) -> Fault | None:
    """Check the key of an annotation; Kubernetes changes it to lower case first."""
    return first_of(_check_label_key(text, prefix_part=_ANNOTATION_PREFIX))


def _check_label_key(text: str, *, prefix_part: Part = _PREFIX) -> Faults:
    if text.count("/") > 1:
        yield f"has {text.count('/')} slashes; a prefix and a name have one between them, as in example.com/zone"
    prefix, slash, name = text.rpartition("/")
    if slash:
        yield from check_list(prefix, ".", prefix_part, whole="the prefix")
        if len(prefix) > _PREFIX_LENGTH:
            yield f"the prefix must have at most {_PREFIX_LENGTH} characters, has {len(prefix)}"
    yield from _LABEL.check(name, at=len(prefix) + len(slash))


def find_label_value_fault(text: str) -> Fault | None:
    """Check the value of a label, which may be empty."""
    return first_of(_VALUE.check(text)) if text else None


def find_cpu_model_fault(text: str) -> Fault | None:
    """Check a processor model, which is the value of a host node's label."""
    return first_of(_VALUE.check(text))


def find_taint_fault(text: str) -> Fault | None:
    """Check a taint, written as key=value:Effect."""
    return first_of(_check_taint(text))


def _check_taint(text: str) -> Faults:
    rest, colon, effect = text.rpartition(":")
    if not colon:
        yield f"has no effect; add :{EFFECTS[0]} at its end, or another of {', '.join(EFFECTS)}"
        return
    if effect not in EFFECTS:
        yield f'has the effect "{effect}", which must be one of: {", ".join(EFFECTS)}'
    key, equals, value = rest.partition("=")
    yield from _check_label_key(key)
    if value:
        yield from _VALUE.check(value, at=len(key) + len(equals))


def find_image_fault(text: str) -> Fault | None:
    """Check a reference of an image with its registry."""
    return first_of(_check_image(text))


def _check_image(text: str) -> Faults:
    yield from _IMAGE.check(text)
    if "://" in text:
        yield f"must not begin with {text.partition('://')[0]}://; an image begins with its registry"
    rest, at_sign, digest = text.partition("@")
    if at_sign:
        yield from _check_digest(digest)
    registry, slash, path = rest.partition("/")
    if not slash:
        yield "has no registry; write it first, as in registry.example/kinky/node:v1"
    host, colon, port = registry.partition(":")
    yield from _REGISTRY.check(host)
    if colon and slash and not (port.isascii() and port.isdigit()):
        yield f'has the port "{port}", which must be a number'
    folders, slash, name = path.rpartition("/")
    name, colon, tag = name.partition(":")
    repository = folders + slash + name
    yield from check_list(repository, "/", _REPOSITORY, whole="the path", at=len(registry) + 1)
    if colon:
        yield from _TAG.check(tag, at=len(registry) + len(repository) + 2)


def _check_digest(digest: str) -> Faults:
    if not digest.startswith(DIGEST):
        yield f"has a digest that does not begin with {DIGEST}"
    elif not _HEX.fullmatch(digest.removeprefix(DIGEST)):
        found = len(digest) - len(DIGEST)
        yield f"has a digest of {found} characters; it must be 64 digits and letters from a to f, in lower case"


def find_https_fault(text: str) -> Fault | None:
    """Check an https URL with a host and perhaps a port."""
    return first_of(_check_https(text))


def _check_https(text: str) -> Faults:
    scheme, separator, rest = text.partition("://")
    if not separator:
        yield "must begin with https://"
        return
    if scheme != "https":
        yield f'must begin with https://, in lower case, begins with "{scheme}://"'
    if "@" in rest:
        yield "must not hold a user or a password"
    for sign in "/?#":
        if sign in rest:
            place = text.index(sign, len(scheme) + len(separator)) + 1
            yield f"must end after the host and its port, has {show(sign)} at place {place}"
    host, colon, port = rest.partition(":")
    yield from _HOST.check(host, at=len(scheme) + len(separator))
    if colon and not (re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= LARGEST_PORT):
        yield f'has the port "{port}", which must be a number from 1 to {LARGEST_PORT}'


def find_store_path_fault(text: str) -> Fault | None:
    """Check a path on a secrets store's server."""
    return first_of(check_list(text, "/", _STORE_PART))


def find_socket_fault(text: str) -> Fault | None:
    """Check the path of a socket in a guest: the socket is in its own folder below /run."""
    return first_of(_check_socket(text))


def _check_socket(text: str) -> Faults:
    example = "as in /run/kms/plugin.sock"
    if not text.startswith("/run/"):
        yield f"must be below /run, {example}"
        return
    rest = text.removeprefix("/run/")
    folder, slash, name = rest.partition("/")
    if not (slash and name):
        yield f"must be in a folder of its own below /run, {example}"
    if folder in RESERVED_FOLDERS:
        yield f"must be in a folder of its own below /run, not in /run/{folder}"
    if "/" in name:
        yield f"must be directly in its folder below /run, {example}"
    yield from _SOCKET_PART.check(folder, at=len("/run/"))
    yield from _SOCKET_PART.check(name, at=len("/run/") + len(folder) + 1)


def find_control_fault(text: str) -> Fault | None:
    """Check a text for characters that a later reader of it cannot take."""
    found = _CONTROLS.search(text)
    return f"must not hold control characters, has {show(found[0])} at place {found.start() + 1}" if found else None


def find_text_fault(text: str) -> Fault | None:
    """Check a line of text."""
    if "\n" in text:
        return f"must be one line of text, has {show(chr(10))} at place {text.index(chr(10)) + 1}"
    return find_control_fault(text) or (None if text.strip() else "must not be empty")


def find_file_fault(text: str) -> Fault | None:
    """Check the path of one file; a colon would separate two paths."""
    if ":" in text:
        return f'must be the path of one file, has ":" at place {text.index(":") + 1}'
    return find_text_fault(text)


def find_audience_fault(text: str) -> Fault | None:
    """Check the audience of a token."""
    for place, letter in enumerate(text, start=1):
        if not "!" <= letter <= "~" or letter == ",":
            return f"has {show(letter)} at place {place}; allowed is printable ASCII without spaces and commas"
    return None if text else "must not be empty"


def find_ipv4_network_fault(text: str) -> Fault | None:
    """Check the spelling of an IPv4 network with its prefix length."""
    return first_of(_check_ipv4_network(text))


def _check_ipv4_network(text: str) -> Faults:
    address, slash, length = text.partition("/")
    numbers = address.split(".")
    if ":" in address:
        yield "must be an IPv4 network: this release gives nodes one family"
    yield from Part(name="the address", ranges="0-9", signs=".").check(address)
    if len(numbers) != 4:
        yield f"must have four numbers with dots between them, has {len(numbers)}"
    for number in numbers:
        if number and (int(number) > 255 or number != str(int(number))):
            yield f'has the number "{number}", which must be from 0 to 255, without zeros in front'
    if "" in numbers:
        yield "has two dots in a row"
    if not slash:
        yield f"must have a prefix length, such as {address}/16"
    elif not (re.fullmatch(r"[0-9]{1,2}", length) and int(length) <= 32):
        yield f'has the prefix length "{length}", which must be a number from 0 to 32'
