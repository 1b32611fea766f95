"""Talking to the two Kubernetes APIs: the host cluster's and the inner cluster's.

The only home of `urllib3` and `aiohttp`. `HostApi` and `InnerApi` are different types, so that
an object meant for one cluster cannot land in the other. Every call has a timeout, every refusal
becomes an `ApiError` that names the verb and the object, and no credential is ever logged.

Imports: the foundation only.
"""
