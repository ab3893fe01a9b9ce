"""Print, for every dependency in pyproject.toml, the oldest version that it allows, as a requirement for pip: numpy==1.26."""

import re
import sys

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

with open("pyproject.toml", "rb") as file:
    dependencies = tomllib.load(file)["project"]["dependencies"]
for dependency in dependencies:
    bound = re.fullmatch(r"([\w-]+)>=([\d.]+)", dependency)
    if bound is None:
        sys.exit(f"pyproject.toml: {dependency!r} is not of the form name>=version")
    print("{}=={}".format(*bound.groups()))
