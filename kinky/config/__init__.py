"""The user's configuration: frozen models, their defaults, and the rules that a configuration must keep.

The only place with defaults, and the only home of pydantic.

Imports: releases.
"""
