"""Owns the way into the secret store, Vault or OpenBao: by a port-forward, as the cluster's own account.

    with context.vault.session() as vault:
        vault.write("identity/group", name="viewers")     # any path of its API
        vault.client                                       # hvac's client, logged in, for all the rest

hvac is loaded by the first session, not before: it costs a tenth of a second.
"""

from mlops_platform.adapters.vault.connection import Health, VaultConnection
from mlops_platform.adapters.vault.errors import VaultError

__all__ = ["Health", "VaultConnection", "VaultError"]
