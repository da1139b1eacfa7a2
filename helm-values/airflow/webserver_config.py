"""Users of the web server: named by the gateway, which sends the proxy secret; roles come from groups."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from airflow.providers.fab.auth_manager.models import Group, Role, User
from airflow.providers.fab.auth_manager.security_manager.override import (
    FabAirflowSecurityManagerOverride,
    FabException,
)
from flask import abort, request
from flask_appbuilder.const import AUTH_REMOTE_USER
from sqlalchemy import select

PROOF, MACHINE = Path("/run/secrets/proof"), Path("/run/secrets/machine")
ROLES = {"platform-admins": "Admin", "data-scientists": "User", "viewers": "Viewer"}
MEMBER = (
    "Project"  # what members of projects may do with runs and tasks; platform_auth.py decides in which DAGs
)
log = logging.getLogger(__name__)


class ByGateway(FabAirflowSecurityManagerOverride):
    """AUTH_REMOTE_USER trusts every sender of the header, and gives all users one role.

    https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/webserver-authentication.html
    """

    def auth_user_remote_user(self, username: str) -> User | None:
        """Return the user of a login through the gateway, with the roles of its groups, else 401 or 403."""
        if not _from_gateway(request.headers.get("X-Platform-Proxy", "")):
            log.warning("login as %s refused: it did not come through the gateway", username)
            abort(401)
        groups = {each.strip() for each in request.headers.get("X-Forwarded-Groups", "").split(",")}
        roles = [self.find_role(role) for group, role in ROLES.items() if group in groups]
        if mine := self._of_projects(username, groups):
            roles += [*mine, self.find_role(MEMBER)]
        if not roles:
            log.warning("login of %s refused: none of its groups has a role", username)
            abort(403)
        try:
            user = super().auth_user_remote_user(username)
        except FabException:  # a page's requests log in side by side, and another has just made the user
            user = super().auth_user_remote_user(username)
        if user:
            user.roles = roles
            user.email = request.headers.get("X-Forwarded-Email") or user.email
            self.update_user(user)
        return user

    def _of_projects(self, username: str, groups: set[str]) -> list[Role]:
        """The roles of the user's projects; projects.py keeps them, by group and user."""
        names = [f"user:{username}", *(f"group:{each}" for each in groups)]
        query = select(Role).join(Role.groups).where(Group.name.in_(names))
        return list(self.session.scalars(query).unique())

    def auth_user_db(self, username: str, password: str, rotate_session_id: bool = True) -> User | None:
        """Check the password of the machines' account against the Secret; no other account has one."""
        if username == (MACHINE / "user").read_text():
            if hmac.compare_digest(password.encode(), (MACHINE / "password").read_bytes()):
                return self.find_user(username=username)
            log.warning("a wrong password for %s", username)
            return None
        return super().auth_user_db(username, password, rotate_session_id)


def _from_gateway(given: str) -> bool:
    """Tell whether a header has the proxy secret; `secrets rotate` gives it a `previous` for a while."""
    files = (PROOF / name for name in ("value", "previous"))
    known = [file.read_bytes() for file in files if file.is_file()]
    return any(hmac.compare_digest(given.encode(), each) for each in known if each)


AUTH_TYPE = AUTH_REMOTE_USER
AUTH_REMOTE_USER_ENV_VAR = "HTTP_X_FORWARDED_PREFERRED_USERNAME"
AUTH_USER_REGISTRATION = True
AUTH_USER_REGISTRATION_ROLE = "Public"  # until its groups have been looked at, a moment later
SECURITY_MANAGER_CLASS = ByGateway
