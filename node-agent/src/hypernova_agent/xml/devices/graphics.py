"""The screen."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class Graphics:
    """<graphics>: https://libvirt.org/formatdomain.html#graphical-framebuffers

    VNC on a UNIX socket in libvirt's own folder: no port anyone else could connect to, or that could be taken. Nobody
    who comes can throw out the others: who may look is decided before QEMU. (It ends the session of one who asks to be
    alone; `console.rfb` has everybody ask to share.)
    """

    def xml(self) -> Element:
        return E.graphics(E.listen(type="socket"), type="vnc", sharePolicy="force-shared")


@dataclass(frozen=True, slots=True)
class Audio:
    """<audio>: https://libvirt.org/formatdomain.html#audio-backends

    Said to be absent: VNC brings one otherwise.
    """

    def xml(self) -> Element:
        return E.audio(id=1, type="none")


@dataclass(frozen=True, slots=True)
class Video:
    """<video>: https://libvirt.org/formatdomain.html#video-devices

    Plain VGA: boot loaders and every guest's kernel can draw on it without a driver.
    """

    def xml(self) -> Element:
        return E.video(E.model(type="vga"))
