"""Keys of component.yaml for a port: who reaches it, and its UI behind the ingress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlops_platform.base.groups import GROUPS, Group
from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import (
    FileName,
    Name,
    Port,
    UrlPath,
)
from mlops_platform.catalogue.needs import renamed


class Served(Strict):
    """A port of the component.

    The in-tree chart gives the Service the number of the container. Upstream charts may not (443 for 9443):
    network plugins match ingress by the port of the container; egress, some by the one, some by the other.
    What the ingress does with a `ui` is in docs/access.md.
    """

    model_config = renamed(
        farewell="logoutPage", machines="bearerPaths", logout="logoutPaths", proof="proxySecret"
    )

    port: Port = Field(description="Number in the Service")
    target: Port | None = Field(
        default=None, description="Number in the container, if another; not with the in-tree chart"
    )
    scheme: Literal["http", "https", "tcp"] = Field(default="http", description="Protocol")
    ui: bool = Field(default=False, description="true: people open it in a browser, through the ingress")
    login: str = Field(default="", description="How a person logs in, one line")
    host: Name = Field(default="", description="Its name below the domain; default: the component's")
    home: bool = Field(
        default=False,
        description="true: the home page. Its address is the domain itself, and its files have the table of "
        "all UIs, /files/catalogue.json",
    )
    groups: list[Group] = Field(default=list(GROUPS), min_length=1, description="Groups of users with access")
    public: bool = Field(default=False, description="true: access without login, to `paths` only")
    paths: list[UrlPath] = Field(
        default_factory=list, description="Public paths; one that ends in / includes all paths below it"
    )
    bearer_paths: list[UrlPath] = Field(
        default_factory=list,
        alias="bearerPaths",
        description="Below these paths the component checks the Authorization header itself",
    )
    own_tokens: bool = Field(
        default=False,
        alias="ownTokens",
        description="true: bearer tokens that sign-on does not know reach the component, which checks them",
    )
    logout_paths: list[UrlPath] = Field(
        default_factory=list,
        alias="logoutPaths",
        description="Its own sign-out pages; the ingress redirects them to the platform's",
    )
    logout_page: FileName = Field(
        default="",
        alias="logoutPage",
        description="HTML file that clears what a browser stores for it; shown after sign-out",
    )
    proxy_secret: Name = Field(
        default="",
        alias="proxySecret",
        description="One of needs.secrets: the ingress sends its `value` in X-Platform-Proxy. The component "
        "reads it for each request, and during a rotation accepts `previous` of the Secret as well",
    )
    proxy_check: UrlPath = Field(
        default="/",
        alias="proxyCheck",
        description="A path that answers 401 to a wrong proxy secret, and anything else to a right one",
    )
    projects: bool = Field(default=False, description="true: every pod of every project may reach it")

    @property
    def container(self) -> int:
        """The number of the port in the container."""
        return self.target or self.port

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that egress to the port needs: plugins see that of the Service or of the container."""
        return tuple(dict.fromkeys((self.port, self.container)))
