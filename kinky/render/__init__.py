"""Text for the guests: cloud-config, network-data and the kubeadm and kubelet documents in it.

Everything here is pure: config, nodes and addresses in, text out. `node.render_node` is the one entry. It returns only
text that was parsed again, checked against the node image's schema, and searched for secrets. The only home of jinja2,
PyYAML's dumping of guest files, and jsonschema.

Imports: config, topology.
"""
