"""Objects as they change, and doing something to several of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing

from hypernova_api.instance import Instance
from hypernova_cli.commandline import DONE, FAILED
from hypernova_cli.errors import CliError, sentence
from hypernova_cli.terminal import Terminal
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Expired, KubeError, NotFound, ServerError, Unreachable
from hypernova_kube.resources import Key, Object, Resource

INSTANCES = Resource.of(Instance)


async def states(client: Client, resource: Resource, key: Key) -> AsyncGenerator[Object, None]:
    """An object as it is, and again whenever it has changed. Close it (`contextlib.aclosing`) when leaving it.

    An API server that is away for a while is waited for.

    Raises:
        NotFound: it is gone.
    """
    backoff = Backoff(cap=10.0)
    seen = False
    while True:
        try:
            obj = await client.get(resource, key.name, key.namespace)
            seen = True
            backoff.forget(key)
            yield obj
            watch = client.watch(
                resource,
                resource_version=obj["metadata"]["resourceVersion"],
                namespace=key.namespace,
                field_selector=f"metadata.name={key.name}",
            )
            async with aclosing(watch) as events:
                async for event in events:
                    if event.type == "DELETED":
                        raise NotFound(404, "NotFound", f"{resource.kind} {key.name} has been deleted")
                    if event.type != "BOOKMARK":
                        yield event.object
        except Expired:
            continue
        except (Unreachable, ServerError):
            if not seen:
                raise
            await asyncio.sleep(backoff.next(key))


async def each(names: Iterable[str], act: Callable[[str], Awaitable[None]], terminal: Terminal) -> int:
    """Do it to all at once; what fails for one is said, and the others go on. Returns the exit status."""

    async def one(name: str) -> int:
        try:
            await act(name)
        except KubeError as error:
            terminal.say(f"error: {name}: {sentence(error)}")
        except CliError as error:
            terminal.say(f"error: {name}: {error}")
        else:
            return DONE
        return FAILED

    return max(await asyncio.gather(*(one(name) for name in dict.fromkeys(names))))
