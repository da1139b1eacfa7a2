"""Groups of people in roles and policies."""

from typing import Literal, get_args

Group = Literal["platform-admins", "data-scientists", "viewers"]
GROUPS: tuple[Group, ...] = get_args(Group)
