"""Validates the YAML files of a directory against its culvert.schema.json: `validate_examples.py DIRECTORY`."""
import json
import pathlib
import re
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.2 as editors read it: no sexagesimal integers such as 02:00:00."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))

directory = pathlib.Path(sys.argv[1])
schema = json.loads((directory / "culvert.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)


def errors_in(document):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(document)]


failed = False
files = sorted(directory.glob("*.yaml"))
for file in files:
    for error in errors_in(yaml.load(file.read_text(), Loader)):
        failed = True
        print(f"{file}: {error}")

# A validator that accepts everything would pass the examples too.
good = yaml.load((directory / "nat44.yaml").read_text(), Loader)
for change in ({"wrokers": 2}, {"workers": 65}, {"interfaces": []}, {"control-socket": "relative"},
               {"instances": [dict(good["instances"][0], **{"nat64-prefix": "64:ff9b::/96"})]},
               {"instances": [dict(good["instances"][0], **{"udp-timeout": "5x"})]}):
    if not errors_in({**good, **change}):
        failed = True
        print(f"the schema accepts {change}")

print(f"{len(files)} examples validated")
sys.exit(1 if failed or not files else 0)
