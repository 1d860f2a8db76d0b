"""The power button of a console: an InstanceAction in the name of who looks at it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from hypernova_api.action import InstanceAction, InstanceActionSpec, Reboot
from hypernova_api.console import ConsoleUser
from hypernova_api.meta import GROUP
from hypernova_console.errors import Refused
from hypernova_console.rights import Rights, to_act_on
from hypernova_console.session import Session
from hypernova_kube.client import Client
from hypernova_kube.errors import ApiError, KubeError, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object, Resource

log = get_logger(__name__)

ACTIONS = Resource.of(InstanceAction)

REQUESTED_BY = f"{GROUP}/requested-by"
"""Annotation of an action that the console proxy made: for whom."""

_LONGEST_PREFIX = 200
"""Characters of an action's name that are its Instance's."""


class Press(BaseModel):
    """What a page asks for."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["Reboot"]
    reboot: Reboot = Reboot()


class Power:
    """Acts on guests for users who may."""

    def __init__(self, client: Client, rights: Rights) -> None:
        self._client = client
        self._rights = rights

    async def actions(self, session: Session) -> list[str]:
        """What the session's user may do to the guest. Nothing, while nobody knows."""
        try:
            return ["Reboot"] if await self._may(session) else []
        except KubeError as error:
            log.warning("rights not known", session=session.key, user=session.user.username, error=in_words(error))
            return []

    async def press(self, session: Session, press: Press) -> str:
        """Make an action; its name.

        Raises:
            Refused: 403 Forbidden, 503 Unavailable; or as the API server says.
        """
        try:
            if not await self._may(session):
                why = "this console is only to be looked at" if session.read_only else "you may make no InstanceActions"
                raise Refused(403, "Forbidden", f"{why} in namespace {session.instance.namespace}")
            made = await self._client.create(ACTIONS, action_object(session.instance, session.user, press))
        except ApiError as error:
            raise Refused(error.status, error.reason or "Refused", error.message) from error
        except KubeError as error:
            raise Refused(503, "Unavailable", "the API server does not answer: try again", retry_after=5) from error
        name: str = made["metadata"]["name"]
        log.info("action made", instance=session.instance, action=name, user=session.user.username)
        return name

    async def _may(self, session: Session) -> bool:
        return not session.read_only and await self._rights.may(session.user, to_act_on(session.instance))


def action_object(instance: Key, user: ConsoleUser, press: Press) -> Object:
    """The InstanceAction to be created."""
    prefix = instance.name[:_LONGEST_PREFIX].rstrip("-.")
    return {
        "apiVersion": ACTIONS.api_version,
        "kind": ACTIONS.kind,
        "metadata": {
            "generateName": f"{prefix}-{press.type.lower()}-",
            "namespace": instance.namespace,
            "annotations": {REQUESTED_BY: user.username},
        },
        "spec": InstanceActionSpec(instance=instance.name, type=press.type, reboot=press.reboot).to_wire(),
    }
