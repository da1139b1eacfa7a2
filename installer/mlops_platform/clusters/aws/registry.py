"""The environment's image repository: its name, and a login that is valid for 12 hours."""

from __future__ import annotations

import base64
from collections.abc import Callable

from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.registry import Login, Registry
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.teardown.sweeps.index import suffix


def registry_of(
    programs: Programs, session: Callable[[], Session], account: Callable[[], str], repository: str
) -> Registry:
    """The account's ECR registry in the region; nodes pull with their own role.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
    """

    def named() -> str:
        region = session().region
        return f"{account()}.dkr.ecr.{region}.{suffix(region)}/{repository}"

    def login() -> Login:
        with asking("ecr get-authorization-token"):
            said = session().client("ecr").get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(said["authorizationToken"]).decode().partition(":")
        return Login(user, password)

    return Registry(programs, named, login)
