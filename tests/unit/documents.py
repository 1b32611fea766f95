"""Looking into parsed YAML and JSON."""


def walk(value: object) -> list[tuple[str, object]]:
    """Return each key with its value, at any depth."""
    if isinstance(value, dict):
        return [*value.items(), *(pair for child in value.values() for pair in walk(child))]
    if isinstance(value, list):
        return [pair for child in value for pair in walk(child)]
    return []


PLAIN_KUBECONFIG = """
current-context: lab
contexts: [{name: lab, context: {cluster: lab, user: me}}]
clusters: [{name: lab, cluster: {server: "https://host.test:6443"}}]
users: [{name: me, user: {token: secret}}]
"""
"""A kubeconfig that can be read; nothing answers there."""
