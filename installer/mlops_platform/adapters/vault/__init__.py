"""Vault or OpenBao, reached by a port-forward with a service account of the cluster.

    with context.vault.session() as vault:
        vault.write("identity/group", name="viewers")     # any path of its API
        vault.client                                       # hvac's client, logged in, for all the rest

The first session loads hvac, which takes a tenth of a second.
"""

from mlops_platform.adapters.vault.connection import Health, VaultConnection
from mlops_platform.adapters.vault.errors import VaultError

__all__ = ["Health", "VaultConnection", "VaultError"]
