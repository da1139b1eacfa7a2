"""Prints the calls that a component gets for projects."""

import json
import os
import sys
from pathlib import Path

assert Path("/run/secrets/token/token").read_text().count(".") == 2
if sys.argv[1:] == ["sync"]:
    for project in json.loads(Path("/files/projects.json").read_text()):
        who = [f"{each['kind']} {each['name']} {each['role']}" for each in project["members"]]
        print(f"made {project['name']} for {', '.join(who) or 'no member'}")
else:
    assert sys.argv[1:] == ["remove"]
    print(f"removed {os.environ['PROJECT']}, KEEP_DATA={os.environ['KEEP_DATA']}")
