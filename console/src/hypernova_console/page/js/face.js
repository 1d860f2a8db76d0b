// @ts-check
/** What the page shows of a session besides the guest: names, state, time left. */

import { announce, byId, put } from "./dom.js";
import { choice, busy, none } from "./notice.js";
import { left, linkCommand } from "./words.js";

/** @typedef {import("./api.js").Info} Info */

const STATES = {
  loading: "Loading",
  connecting: "Connecting",
  connected: "Connected",
  waiting: "Waiting for the guest",
  retrying: "Reconnecting",
  detached: "Disconnected",
  ended: "Not connected",
};

/** When the user is told, and sees it marked. */
const SOON_S = 300;

/** @param {keyof typeof STATES} state @param {string} [reason] */
export function setState(state, reason = "") {
  document.body.dataset.state = state;
  document.body.dataset.reason = reason;
  byId("state").textContent = STATES[state];
}

export class Face {
  /** @type {Info | null} */
  info = null;
  #toldOfEnd = false;

  /**
   * @param {(info: Info) => Promise<import("./watch.js").Viewer>} makeViewer
   * @param {() => void} changed called after whatever the controls depend on has changed
   */
  constructor(makeViewer, changed) {
    this.changed = changed;
    /** @type {Promise<import("./watch.js").Viewer> | null} */
    let viewer = null;
    this.viewer = (/** @type {Info} */ info) => (viewer ??= makeViewer(info));
    setInterval(() => this.#clock(), 1000);
  }

  get isConnected() {
    return document.body.dataset.state === "connected";
  }

  tell = (/** @type {Info} */ info) => {
    this.info = info;
    const { namespace, name, phase } = info.instance;
    document.title = `${namespace}/${name} · ${info.type === "VNC" ? "screen" : "serial console"}`;
    document.body.dataset.type = info.type;
    byId("bar").hidden = false;
    byId("namespace").textContent = namespace;
    byId("name").textContent = name;
    put(byId("phase"), phase);
    byId("phase").dataset.phase = phase ?? "";
    put(byId("viewers"), others(info.connected));
    put(byId("user"), info.user);
    byId("user").title = `Signed in as ${info.user}`;
    this.#clock();
    this.changed();
  };

  connecting = () => {
    const again = document.body.dataset.state === "waiting" || document.body.dataset.state === "retrying";
    if (again) return; // the card that says why stays until there is news
    setState("connecting");
    busy("Connecting");
    this.changed();
  };

  connected = () => {
    setState("connected");
    none();
    announce("Connected");
    this.changed();
  };

  /** @param {import("./endings.js").Ending} end @param {number} milliseconds */
  ended = (end, milliseconds) => {
    setState(end.state, end.reason);
    byId("role").hidden = true;
    this.changed();
    return choice(end, linkCommand(this.info), milliseconds);
  };

  #clock() {
    if (!this.info) return;
    const seconds = (Date.parse(this.info.expiresAt) - Date.now()) / 1000;
    const text = left(seconds);
    const place = byId("left");
    if (place.textContent !== text) put(place, text);
    const soon = seconds < SOON_S;
    place.classList.toggle("soon", soon);
    if (soon && !this.#toldOfEnd) announce(`The session ends soon: ${text}.`);
    this.#toldOfEnd = soon;
  }
}

/** @param {number | undefined} count */
function others(count) {
  if (!count) return "";
  return count === 1 ? "1 other viewer" : `${count} other viewers`;
}
