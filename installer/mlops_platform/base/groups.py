"""The groups of people that roles and policies are written for."""

from typing import Literal, get_args

Group = Literal["platform-admins", "data-scientists", "viewers"]
GROUPS: tuple[Group, ...] = get_args(Group)
