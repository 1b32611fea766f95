"""The node image: an immutable Debian disk that carries one Kubernetes version and all its system images.

`build.py` tells the order of the steps, the other modules hold one step each. The recipe (package lists, guest files,
GRUB configuration, initrd) is data in `node-image/`.

Imports: artefacts, config, manifests, releases, render.
"""
