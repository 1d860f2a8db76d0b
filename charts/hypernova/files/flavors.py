"""Makes the Flavors of a file that are not there yet: `python3 flavors.py FILE`, where FILE is JSON, `{name: spec}`.

Those that are there are left as they are, whatever the file says: they are their administrator's. Runs in a Job.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from hypernova_api.flavor import Flavor
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, NotFound
from hypernova_kube.resources import Resource

FLAVORS = Resource.of(Flavor)
TRIES = 60


async def make(client: Client, name: str, spec: dict[str, Any]) -> None:
    """Have a Flavor, waiting up to a minute for its kind: Helm makes that at the same time.

    Raises:
        KubeError: the API server does not want it.
    """
    flavor = {"apiVersion": FLAVORS.api_version, "kind": "Flavor", "metadata": {"name": name}, "spec": spec}
    for tries_left in reversed(range(TRIES)):
        try:
            await client.create(FLAVORS, flavor)
        except AlreadyExists:
            print(f"flavor {name} is there and is left as it is")
            return
        except NotFound:
            if not tries_left:
                raise
            await asyncio.sleep(1)
        else:
            print(f"flavor {name} made")
            return


async def make_all(flavors: dict[str, dict[str, Any]]) -> None:
    """Have all Flavors, by their names."""
    async with await Client.connect(component="flavors") as client:
        for name, spec in flavors.items():
            await make(client, name, spec)


if __name__ == "__main__":
    asyncio.run(make_all(json.loads(Path(sys.argv[1]).read_text())))
