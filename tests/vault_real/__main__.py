"""`python -m tests.vault_real`: build the server and print its path."""

from tests.vault_real import build

if __name__ == "__main__":
    print(build())  # noqa: T201
