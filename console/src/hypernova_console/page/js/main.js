// @ts-check
/** Where the page is decides what it does: it uses a ticket up, or shows the session in its path. */

import { redeem, Session } from "./api.js";
import { byId } from "./dom.js";
import { ending, ticketRefused } from "./endings.js";
import { Face, setState } from "./face.js";
import { busy, choice } from "./notice.js";
import { Tools } from "./tools.js";
import { Watch } from "./watch.js";
import { linkCommand } from "./words.js";

const SESSION_PATH = /^\/session\/[^/]+\/[^/]+\/$/;

if (SESSION_PATH.test(location.pathname)) await show(new Session(location.pathname));
else await enter();

async function enter() {
  addEventListener("hashchange", () => location.reload()); // another link, opened where one was refused
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
  history.replaceState(null, "", location.pathname); // first of all: what follows may fail, and the address be shared
  for (;;) {
    setState("loading");
    busy("Opening the console");
    let end;
    try {
      if (!ticket) {
        end = ending("TicketMissing");
      } else {
        location.replace((await redeem(ticket)).url);
        return;
      }
    } catch (refusal) {
      end = ticketRefused(/** @type {import("./api.js").Refusal} */ (refusal));
    }
    setState(end.state, end.reason);
    await choice(end, linkCommand(null), 0);
  }
}

/** @param {Session} session */
async function show(session) {
  setState("loading");
  busy("Opening the console");
  const tools = new Tools(session);
  const face = new Face(
    async (info) => {
      const viewer = await makeViewer(info, tools);
      tools.use(viewer);
      return viewer;
    },
    () => {
      tools.update();
      const at = document.activeElement;
      if (face.isConnected && (at === document.body || byId("notice").contains(at))) tools.viewer?.focus();
    },
  );
  const watch = new Watch(session, face);
  tools.wire(face, watch);
  await watch.run();
}

/**
 * Only what is needed is loaded.
 * @param {import("./api.js").Info} info
 * @param {Tools} tools
 */
async function makeViewer(info, tools) {
  const name = `${info.instance.namespace}/${info.instance.name}`;
  if (info.type === "VNC") {
    const { Screen } = await import("./vnc.js");
    return new Screen(byId("screen"), `Screen of ${name}`, { clipboard: (text) => tools.guestCopied(text) });
  }
  const { Line } = await import("./serial.js");
  return new Line(byId("screen"), `Serial console of ${name}`, {
    role: ({ writer, holder }) => {
      tools.reading = !writer;
      byId("role").hidden = writer;
      byId("role-text").textContent = holder ? `${holder} writes; you read along.` : "Nobody writes; you read along.";
      byId("take-pen").hidden = info.readOnly;
      tools.update();
    },
  });
}
