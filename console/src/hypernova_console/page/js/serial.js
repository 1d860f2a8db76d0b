// @ts-check
/** A guest's serial line, by xterm.js. */

// @ts-ignore: types are in another file than the module
import { FitAddon } from "../xterm/addon-fit.mjs";
// @ts-ignore
import { Terminal } from "../xterm/xterm.mjs";
import { byId } from "./dom.js";
import { LINE_COMBOS } from "./keys.js";
import { allowStyles } from "./strict-styles.js";

const THEMES = {
  dark: {
    background: "#0b0e12",
    foreground: "#e4e8ee",
    cursor: "#e4e8ee",
    cursorAccent: "#0b0e12",
    selectionBackground: "#2f4f86",
  },
  light: {
    background: "#ffffff",
    foreground: "#1b2430",
    cursor: "#1b2430",
    cursorAccent: "#ffffff",
    selectionBackground: "#b9d0f7",
  },
};

/** As in style.css: more columns than 42 fit on a phone. */
const NARROW = "(max-width: 719px)";

/** WCAG AA, whatever colours the guest chooses. */
const CONTRAST = 4.5;

/** Lines kept to scroll back to. */
const SCROLLBACK = 10_000;

/**
 * @typedef {object} SerialRole hypernova_api.console.SerialRole
 * @property {boolean} writer
 * @property {string} holder
 */

export class Line {
  /**
   * @param {HTMLElement} place
   * @param {string} label what it is, for those who do not see it
   * @param {{role: (role: SerialRole) => void}} events
   */
  constructor(place, label, events) {
    allowStyles();
    this.events = events;
    this.combos = LINE_COMBOS;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.viewOnly = false;
    this.encoder = new TextEncoder();
    this.terminal = new Terminal({
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: matchMedia(NARROW).matches ? 12 : 14,
      minimumContrastRatio: CONTRAST,
      scrollback: SCROLLBACK,
    });
    const fit = new FitAddon();
    this.terminal.loadAddon(fit);
    this.terminal.open(place);
    this.terminal.textarea?.setAttribute("aria-label", label);
    this.terminal.textarea?.setAttribute("aria-describedby", "hint");
    this.terminal.onData((/** @type {string} */ text) => this.#send(this.encoder.encode(text)));
    this.terminal.onBinary((/** @type {string} */ text) => this.#send(Uint8Array.from(text, (byte) => byte.charCodeAt(0))));
    this.terminal.attachCustomKeyEventHandler((/** @type {KeyboardEvent} */ event) => !this.#copies(event));
    new ResizeObserver(() => fit.fit()).observe(place);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const dress = () => {
      this.terminal.options.theme = dark.matches ? THEMES.dark : THEMES.light;
    };
    dark.addEventListener("change", dress);
    dress();
    byId("soft-keyboard").addEventListener("click", () => this.focus());
  }

  /**
   * @param {WebSocket} socket not yet open
   * @returns {Promise<void>} when the guest's end is there, and who writes is known; never, if it is closed before
   */
  connect(socket) {
    this.socket = socket;
    return new Promise((resolve) => {
      let first = true;
      socket.addEventListener("message", ({ data }) => {
        if (first) this.terminal.reset(); // what was said lately comes again
        first = false;
        if (typeof data === "string") this.events.role(JSON.parse(data));
        else this.terminal.write(new Uint8Array(data));
        resolve();
      });
    });
  }

  /** Leaves what was said to be read and scrolled; the socket is closed. */
  release() {
    this.socket?.close();
    this.socket = null;
  }

  focus() {
    this.terminal.focus();
  }

  /** @param {boolean} viewOnly whether nothing of what is typed is sent */
  setViewOnly(viewOnly) {
    this.viewOnly = viewOnly;
    this.terminal.options.disableStdin = viewOnly;
  }

  setFit() {
    // A terminal has the size that the window has.
  }

  /** @param {string} text */
  press(text) {
    this.#send(this.encoder.encode(text));
  }

  /** @param {string} text */
  async type(text) {
    this.terminal.paste(text);
  }

  setClipboard() {
    // A serial line has none.
  }

  selection() {
    return this.terminal.getSelection();
  }

  /** @param {Uint8Array} bytes */
  #send(bytes) {
    if (!this.viewOnly && this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes);
  }

  /**
   * Ctrl+Shift+C, as in other terminals; Ctrl+Shift+V is the browser's own.
   * @param {KeyboardEvent} event
   */
  #copies(event) {
    if (!(event.ctrlKey && event.shiftKey && event.code === "KeyC")) return false;
    if (event.type === "keydown" && this.terminal.hasSelection()) navigator.clipboard?.writeText(this.terminal.getSelection());
    event.preventDefault();
    return true;
  }
}
