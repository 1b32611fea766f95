"""The few operations on objects that both APIs share."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from kinky.kube.connection import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Connection, JsonObject
from kinky.kube.resources import SECRETS, SELF_REVIEWS, SERVICE_ACCOUNTS, Resource

_PAGE = 500
_FIELD_MANAGER = "kinky"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ObjectApi:
    """Objects read and written by kind and name; the base of `HostApi` and `InnerApi`."""

    def __init__(self, connection: Connection) -> None:
        """Use this connection, which decides whose objects these are."""
        self._connection = connection

    @property
    def target(self) -> str:
        """The cluster's name for messages."""
        return self._connection.target

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._connection.server

    @property
    def clock_ahead(self) -> timedelta:
        """How far our clock was ahead of the server's at its last answer."""
        return self._connection.clock_ahead

    def fetch_user(self) -> str:
        """Fetch the name under which the API knows us: proof that the answer is an authenticated one."""
        reply = self._connection.call(
            "POST",
            SELF_REVIEWS.build_path(None),
            what="review the own identity",
            body={
                "apiVersion": SELF_REVIEWS.api_version,
                "kind": SELF_REVIEWS.kind,
                "metadata": {},
            },
        )
        info = (reply.parse().get("status") or {}).get("userInfo") or {}
        return str(info.get("username", ""))

    def fetch(self, resource: Resource, name: str, *, namespace: str | None = None) -> JsonObject | None:
        """Fetch one object, or None when it (or its kind) is not there."""
        reply = self._connection.call(
            "GET",
            resource.build_path(namespace, name),
            what=f"get {resource.kind} {name}",
            allowed=(404,),
        )
        return None if reply.status == 404 else reply.parse()

    def fetch_all(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> list[JsonObject]:
        """List objects by label and field selector; a kind that is not served has none.

        Args:
            metadata_only: Whether the API returns only the metadata, without the values of Secrets.
        """
        query: dict[str, str | int] = {"limit": _PAGE}
        query |= {"labelSelector": selector} if selector else {}
        query |= {"fieldSelector": fields} if fields else {}
        items: list[JsonObject] = []
        while True:
            reply = self._connection.call(
                "GET",
                resource.build_path(namespace),
                what=f"list {resource.plural}",
                query=query,
                accept=_METADATA_LIST if metadata_only else "application/json",
                allowed=(404,),
            )
            page = reply.parse() if reply.status != 404 else {}
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return items
            query["continue"] = str(token)

    def fetch_sample(self, resource: Resource, *, limit: int) -> list[JsonObject]:
        """List at most this many objects of all namespaces, whichever the API gives first."""
        reply = self._connection.call(
            "GET", resource.build_path(None), what=f"list {resource.plural}", query={"limit": limit}
        )
        items: list[JsonObject] = reply.parse().get("items") or []
        return items

    def create(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> bool:
        """Create one object; False when one of that name is there already, which is left as it is."""
        reply = self._connection.call(
            "POST",
            resource.build_path(namespace),
            what=f"create {resource.kind} {body['metadata']['name']}",
            body=_typed(resource, body),
            allowed=(409,),
        )
        return reply.status != 409

    def try_create(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> None:
        """Let the API check the creation of one object without creating it; one of that name is no error.

        Raises:
            ApiError: The API, a quota or a policy refuses it.
        """
        self._connection.call(
            "POST",
            resource.build_path(namespace),
            what=f"create {resource.kind} {body['metadata']['name']}",
            query={"dryRun": "All"},
            body=_typed(resource, body),
            allowed=(409,),
        )

    def put(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> None:
        """Create one object, or replaces the one of that name."""
        if self.create(resource, body, namespace=namespace):
            return
        name = str(body["metadata"]["name"])
        self._connection.call(
            "PUT",
            resource.build_path(namespace, name),
            what=f"update {resource.kind} {name}",
            body=_typed(resource, body),
        )

    def replace(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> bool:
        """Replace one object that was fetched; False when somebody has changed or removed it since."""
        name = str(body["metadata"]["name"])
        reply = self._connection.call(
            "PUT",
            resource.build_path(namespace, name),
            what=f"update {resource.kind} {name}",
            body=_typed(resource, body),
            allowed=(404, 409),
        )
        return reply.status not in (404, 409)

    def patch(self, resource: Resource, name: str, body: JsonObject, *, namespace: str | None = None) -> JsonObject:
        """Merge fields into one object and return the result."""
        return self._connection.call(
            "PATCH",
            resource.build_path(namespace, name),
            what=f"patch {resource.kind} {name}",
            body=body,
            content_type=MERGE_PATCH,
        ).parse()

    def apply(self, resource: Resource, body: JsonObject, *, namespace: str | None = None) -> None:
        """Make one object have these fields, whether it is there or not; some kinds refuse a `put` over what is."""
        name = str(body["metadata"]["name"])
        self._connection.call(
            "PATCH",
            resource.build_path(namespace, name),
            what=f"apply {resource.kind} {name}",
            query={"fieldManager": _FIELD_MANAGER, "force": "true"},
            body=_typed(resource, body),
            content_type=APPLY_PATCH,
        )

    def patch_json(self, resource: Resource, name: str, operations: list[JsonObject]) -> bool:
        """Do these operations on one object of no namespace; False when a `test` among them failed."""
        reply = self._connection.call(
            "PATCH",
            resource.build_path(None, name),
            what=f"patch {resource.kind} {name}",
            body=operations,
            content_type=JSON_PATCH,
            allowed=(409, 422),
        )
        return reply.status not in (409, 422)

    def delete(self, resource: Resource, name: str, *, namespace: str | None = None, uid: str = "") -> bool:
        """Ask for the deletion of one object; False when it is gone already.

        Args:
            uid: UID of the object that was read; a newer object with the same name is not deleted.
        """
        reply = self._connection.call(
            "DELETE",
            resource.build_path(namespace, name),
            what=f"delete {resource.kind} {name}",
            # All in the body: beside one, the API ignores the query, and a Job's default leaves its dependents.
            body={"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {}),
            allowed=(404, 409) if uid else (404,),
        )
        return reply.status not in (404, 409)

    def request_token(
        self,
        service_account: str,
        *,
        namespace: str,
        seconds: int,
        anchor: JsonObject | None = None,
        audience: str = "",
    ) -> tuple[str, datetime]:
        """Ask for a token of a ServiceAccount; returns it with its expiry, which the API may shorten.

        The caller writes the token where it belongs and lets it go: it is never logged or returned further.

        Args:
            anchor: A Secret of the namespace; the token ends when that Secret is removed.
            audience: Whom the token is for, when it is not the API itself.
        """
        spec: JsonObject = {"expirationSeconds": seconds} | ({"audiences": [audience]} if audience else {})
        if anchor is not None:
            identity = {"name": anchor["metadata"]["name"], "uid": anchor["metadata"]["uid"]}
            spec["boundObjectRef"] = {"kind": SECRETS.kind, "apiVersion": SECRETS.api_version, **identity}
        reply = self._connection.call(
            "POST",
            SERVICE_ACCOUNTS.build_path(namespace, service_account, "token"),
            what=f"request a token of ServiceAccount {service_account} (a Secret)",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        status = reply.parse().get("status") or {}
        expires = datetime.fromisoformat(str(status["expirationTimestamp"]).replace("Z", "+00:00"))
        return str(status["token"]), expires.astimezone(UTC)

    def fetch_secret_data(self, name: str, *, namespace: str | None = None) -> dict[str, bytes] | None:
        """Fetch the decoded values of one Secret; the caller must not log or return them."""
        secret = self.fetch(SECRETS, name, namespace=namespace)
        return None if secret is None else decode_secret(secret)


def decode_secret(body: JsonObject) -> dict[str, bytes]:
    """Return the decoded values of a Secret; the caller must not log or return them."""
    return {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}


def build_secret(
    name: str,
    data: Mapping[str, bytes],
    *,
    labels: Mapping[str, str],
    immutable: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> JsonObject:
    """Build the body of an opaque Secret."""
    body: JsonObject = {
        "metadata": {"name": name, "labels": dict(labels), "annotations": dict(annotations or {})},
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in sorted(data.items())},
    }
    return body | ({"immutable": True} if immutable else {})


def is_condition_true(status: JsonObject, name: str) -> bool:
    """Tell whether an object's status has this condition with status True."""
    return (fetch_condition(status, name) or {}).get("status") == "True"


def fetch_condition(status: JsonObject, name: str) -> JsonObject | None:
    """Return one condition of an object's status."""
    conditions: Sequence[JsonObject] = status.get("conditions") or []
    return next((item for item in conditions if item.get("type") == name), None)


def _typed(resource: Resource, body: JsonObject) -> JsonObject:
    """Add kind and version, so that no caller writes them twice."""
    return {"apiVersion": resource.api_version, "kind": resource.kind} | body
