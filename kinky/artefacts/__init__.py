"""Layers of Debian packages and archives of container images, each made once and kept in the cache.

Imports: the foundation only.
"""
