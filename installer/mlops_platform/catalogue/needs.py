"""Keys `provides` and `needs` of component.yaml: accounts, secrets, the OIDC client."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from mlops_platform.base.yaml import RENAMED, Strict
from mlops_platform.catalogue.fields import (
    FileName,
    Name,
    PortName,
    ScriptName,
    UrlPath,
)


# In the order of installation, as screens list them.
def renamed(**names: str) -> ConfigDict:
    """Refuse keys that had another name, with the name they have now."""
    return ConfigDict(json_schema_extra={RENAMED: dict(names)})


class Engine(Strict):
    """The plugin of Vault's database secrets engine that rotates the passwords of accounts.

    In `url` and `statement`, {{…}} belongs to Vault. In `url`, `${host}` and `${port}` are the provider's.
    """

    plugin: Name = Field(description="Name of the plugin")
    url: str = Field(description="Connection URL")
    statement: str = Field(description="Statement that sets a password")
    options: dict[str, str] = Field(default_factory=dict, description="Further options of the plugin")


class Provided(Strict):
    """A capability that other components require by its name, and how an account for one of them is made.

    Without `script` it is only a port. `script` runs as a Job in the `image`, with the component's Secret
    `<name>-<admin>` at /run/secrets/admin and the Secret of the new account at /run/secrets/account; a
    second run must change nothing. The account's Secret has host, port, user, password and name, and each
    of `keys`.
    """

    port: PortName = Field(description="One of `serves`: the port for the others")
    script: ScriptName = Field(default="", description="Makes an account")
    image: Name = Field(default="toolbox", description="Image of the script")
    admin: Name = Field(default="", description="One of needs.secrets: the administrator's password")
    login: ScriptName = Field(default="", description="Of an issuer: module with which smoke tests log in")
    page: UrlPath = Field(default="", description="Of an issuer: path of its login page")
    keys: dict[Name, str] = Field(
        default_factory=dict, description="Further keys of the account's Secret: templates of its values"
    )
    engine: Engine | None = Field(default=None, description="With Vault: how passwords are rotated")

    @model_validator(mode="after")
    def _whole(self) -> Provided:
        if bool(self.script) != bool(self.admin) or (self.keys and not self.script):
            raise ValueError("half an account | script and admin go together, keys need both")
        return self


class SecretNeed(Strict):
    """A generated Secret `<name>-<key>` in the component's namespace."""

    model_config = renamed(once="immutable", rolls="restart")

    keys: list[Name] = Field(default_factory=list, description="Keys with a random value")
    fixed: dict[str, str] = Field(default_factory=dict, description="Keys with this value; not secret")
    bytes: Annotated[int, Field(ge=16, le=64)] = Field(default=24, description="Entropy of each random value")
    immutable: bool = Field(default=False, description="true: never rotated; data is encrypted with it")
    rotate: ScriptName = Field(
        default="", description="Sets a new value (`change`) and checks that the old one is refused (`prove`)"
    )
    restart: bool = Field(
        default=True, description="false: pods need no restart after a rotation; the script is enough"
    )
    image: Name = Field(default="toolbox", description="Image of the script")


class ClientNeed(Strict):
    """A client at the OIDC issuer. `template`, filled in, is a file in Secret `<name>-client`."""

    template: FileName = Field(description="YAML file of the component's folder")
    redirects: list[str] = Field(min_length=1, description="URLs to which the issuer may redirect users")


class Needs(Strict):
    """Secrets that are made for a component before it starts, in its namespace."""

    database: Name | None = Field(
        default=None, description="Name of a database; Secret `<name>-database`; requires `sql`"
    )
    bucket: Name | None = Field(
        default=None, description="Name of a bucket; Secret `<name>-bucket`; requires `object-store`"
    )
    pools: bool = Field(
        default=False,
        description="true: its service account may change the number of nodes of the cluster's pools",
    )
    client: ClientNeed | None = Field(
        default=None, description="A client at the environment's OIDC issuer; Secret `<name>-client`"
    )
    certificate: bool = Field(
        default=False,
        description="true: certificate for all names below the domain; Secret `<name>-certificate`",
    )
    secrets: dict[Name, SecretNeed] = Field(
        default_factory=dict, description="Generated Secrets `<name>-<key>`"
    )

    @property
    def anything(self) -> bool:
        """Tell whether a Secret is made for the component."""
        return bool(self.database or self.bucket or self.client or self.certificate or self.secrets)
