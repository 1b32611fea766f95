"""Layers of Debian packages and archives of container images, each made once and kept in the cache.

`registry` puts an image into a registry and reads from there.

Imports: config.
"""
