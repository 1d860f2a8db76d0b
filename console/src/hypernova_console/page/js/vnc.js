// @ts-check
/** A guest's screen, keyboard and mouse, by noVNC. */

// @ts-ignore: noVNC ships no types
import RFB from "../novnc/core/rfb.js";
// @ts-ignore
import keysyms from "../novnc/core/input/keysymdef.js";
// @ts-ignore
import { initLogging } from "../novnc/core/util/logging.js";
import { SCREEN_COMBOS, typing } from "./keys.js";
import { followSoftKeyboard } from "./soft-keyboard.js";

/** A guest's PS/2 port keeps few keys: typed text comes at a fast typist's pace. */
const KEY_INTERVAL_MS = 20;

initLogging("none"); // how a connection ended is told on the page

/**
 * Releases the keys that the guest believes to be down, such as Ctrl and Alt of the way out. noVNC does so when the window loses
 * the focus, but not when the canvas does, or when it is told to only look on.
 */
function letKeysGo() {
  dispatchEvent(new FocusEvent("blur"));
}

export class Screen {
  /**
   * @param {HTMLElement} place
   * @param {string} label what it is, for those who do not see it
   * @param {{clipboard: (text: string) => void}} events
   */
  constructor(place, label, events) {
    this.place = place;
    this.label = label;
    this.events = events;
    this.combos = SCREEN_COMBOS;
    /** @type {any} noVNC's RFB, while there is a connection */
    this.rfb = null;
    this.viewOnly = false;
    this.fit = true;
    followSoftKeyboard((keys) => this.press(keys), (codePoint) => keysyms.lookup(codePoint));
  }

  /**
   * @param {WebSocket} socket not yet open
   * @returns {Promise<void>} when the guest's picture is on its way; never, if the socket is closed before
   */
  connect(socket) {
    this.rfb = new RFB(this.place, socket, { shared: true });
    this.rfb.background = "transparent";
    this.rfb.showDotCursor = true;
    this.#apply();
    const canvas = /** @type {HTMLCanvasElement} */ (this.place.querySelector("canvas"));
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", this.label);
    canvas.setAttribute("aria-describedby", "hint");
    canvas.tabIndex = 0; // noVNC leaves it to the mouse
    canvas.addEventListener("blur", letKeysGo);
    this.rfb.addEventListener("clipboard", (/** @type {CustomEvent} */ event) => this.events.clipboard(event.detail.text));
    return new Promise((resolve) => this.rfb.addEventListener("connect", () => resolve()));
  }

  /** Takes the picture away; the socket is closed. */
  release() {
    this.rfb?.disconnect();
    this.rfb = null;
  }

  focus() {
    this.rfb?.focus({ preventScroll: true });
  }

  /** @param {boolean} viewOnly whether nothing of what is typed or clicked is sent */
  setViewOnly(viewOnly) {
    this.viewOnly = viewOnly;
    this.#apply();
  }

  /** @param {boolean} fit scaled into the window, or pixel for pixel, to be scrolled */
  setFit(fit) {
    this.fit = fit;
    this.#apply();
  }

  #apply() {
    if (!this.rfb) return;
    if (this.viewOnly && !this.rfb.viewOnly) letKeysGo();
    this.rfb.viewOnly = this.viewOnly;
    this.rfb.scaleViewport = this.fit;
  }

  /** @param {import("./keys.js").Key[]} keys pressed in this order, released in the other */
  press(keys) {
    for (const key of keys) this.rfb?.sendKey(key.keysym, key.code, true);
    for (const key of keys.toReversed()) this.rfb?.sendKey(key.keysym, key.code, false);
  }

  /**
   * Types a text on the guest's keyboard, until the connection ends.
   * @param {string} text
   */
  async type(text) {
    const rfb = this.rfb;
    for (const keys of typing(text, (codePoint) => keysyms.lookup(codePoint))) {
      if (this.rfb !== rfb) return;
      this.press(keys);
      await new Promise((resolve) => setTimeout(resolve, KEY_INTERVAL_MS));
    }
  }

  /** @param {string} text for the guest's own clipboard, if an agent in the guest shares it */
  setClipboard(text) {
    this.rfb?.clipboardPasteFrom(text);
  }

  selection() {
    return "";
  }
}
