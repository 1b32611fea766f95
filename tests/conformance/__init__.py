"""Kubernetes' own conformance suite against an inner cluster: `make conformance`, and a part of it in `make e2e`.

The suite and its images are built here from the Kubernetes module of the release in use; nothing is pulled.
"""
