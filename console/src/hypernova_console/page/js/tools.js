// @ts-check
/** The controls of the bar. */

import { byId, element } from "./dom.js";
import { Refusal } from "./api.js";
import { CTRL_ALT_DEL } from "./keys.js";
import { wireMenus } from "./menus.js";
import { confirmed, toast } from "./asking.js";

/** @typedef {import("./face.js").Face} Face */

export class Tools {
  /** @type {any} the Screen or Line, once there is one */
  viewer = null;
  /** Whether another has the pen of a serial line. */
  reading = false;
  #viewOnly = false;

  /**
   * @param {import("./api.js").Session} session
   */
  constructor(session) {
    this.session = session;
  }

  /**
   * @param {Face} face
   * @param {import("./watch.js").Watch} watch
   */
  wire(face, watch) {
    this.face = face;
    wireMenus();
    on("ctrl-alt-del", () => this.#then(() => this.viewer.press(CTRL_ALT_DEL.keys)));
    on("view-only", () => this.setViewOnly(!this.#viewOnly));
    on("fit", () => this.#toggleFit());
    on("take-pen", () => watch.takeOver());
    on("detach", () => {
      byId("session-menu").hidePopover();
      watch.detach();
    });
    on("end", () => this.#end(watch));
    for (const item of byId("power-menu").querySelectorAll("[data-reboot]")) {
      item.addEventListener("click", () => this.#reboot(item.dataset.reboot));
    }
    this.#wireFullScreen();
    this.#wireClipboard();
    // The way out of a screen that takes all keys, the Tab key included; Remote Desktop's users know it.
    addEventListener(
      "keydown",
      (event) => {
        if (!(event.ctrlKey && event.altKey && event.code === "Home")) return;
        event.preventDefault();
        event.stopPropagation();
        const first = [...byId("tools").querySelectorAll("button:enabled")].find((button) => button.offsetParent);
        first?.focus();
      },
      { capture: true },
    );
  }

  /** @param {any} viewer the Screen or Line that there is now */
  use(viewer) {
    this.viewer = viewer;
    byId("keys").replaceChildren(
      ...viewer.combos.map((/** @type {any} */ combo) => {
        const item = element("button", { type: "button", text: combo.label, role: "menuitem" });
        item.addEventListener("click", () => {
          byId("keys").hidePopover();
          this.#then(() => viewer.press(combo.keys ?? combo.text));
        });
        return item;
      }),
    );
  }

  /** @param {boolean} viewOnly */
  setViewOnly(viewOnly) {
    this.#viewOnly = viewOnly;
    this.update();
  }

  /** Makes the controls agree with what the session allows now. */
  update() {
    const info = this.face?.info;
    if (!info) return;
    const viewOnly = info.readOnly || this.#viewOnly;
    this.viewer?.setViewOnly(viewOnly || this.reading);
    byId("view-only").setAttribute("aria-pressed", String(viewOnly));
    byId("view-only").disabled = info.readOnly;
    byId("view-only").title = info.readOnly ? "The link is for viewing only" : "View only: nothing you type or click is sent";
    const { state } = document.body.dataset;
    byId("power").hidden = !info.actions?.includes("Reboot");
    byId("power").disabled = state === "ended";
    byId("session").disabled = state === "ended";
    byId("detach").hidden = state === "detached";
    document.body.dataset.viewOnly = String(viewOnly);
    const input = this.face?.isConnected && !viewOnly && !this.reading;
    for (const control of document.querySelectorAll("[data-when=input]")) {
      /** @type {HTMLButtonElement} */ (control).disabled = !input;
    }
  }

  /** Does something to the guest, and gives it the keyboard back. @param {() => void} act */
  #then(act) {
    act();
    this.viewer?.focus();
  }

  #toggleFit() {
    const fit = byId("fit").getAttribute("aria-pressed") !== "true";
    byId("fit").setAttribute("aria-pressed", String(fit));
    this.#then(() => this.viewer?.setFit(fit));
  }

  #wireFullScreen() {
    const button = byId("full-screen");
    button.hidden = !document.fullscreenEnabled;
    on("full-screen", async () => {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await document.documentElement.requestFullscreen({ navigationUI: "hide" });
      this.viewer?.focus();
    });
    document.addEventListener("fullscreenchange", () => {
      const full = Boolean(document.fullscreenElement);
      button.setAttribute("aria-pressed", String(full));
      document.body.dataset.fullScreen = String(full);
      // @ts-ignore: only Chromium has it: Alt-Tab and the like go to the guest, Escape held long leaves
      if (full) navigator.keyboard?.lock?.().catch(() => {});
    });
  }

  #wireClipboard() {
    const text = byId("clipboard-text");
    byId("clipboard").addEventListener("beforetoggle", (/** @type {ToggleEvent} */ event) => {
      if (event.newState !== "open") return;
      const serial = this.face?.info?.type === "Serial";
      byId("clipboard-help").textContent = serial
        ? "Select text in the terminal to have it here, or paste text to send it."
        : "What the guest copies appears here. Its own clipboard needs an agent in the guest; typing always works (US keyboard).";
      byId("clipboard-type").textContent = serial ? "Send to guest" : "Type into guest";
      const selection = this.viewer?.selection();
      if (selection) text.value = selection;
    });
    on("clipboard-copy", async () => {
      await copy(text);
      toast("Copied.");
    });
    on("clipboard-set", () => {
      this.viewer?.setClipboard(text.value);
      toast("Sent to the guest’s clipboard.");
    });
    on("clipboard-type", async () => {
      byId("clipboard").hidePopover();
      const { value } = text;
      this.#then(() => {});
      if (value) await this.viewer?.type(value);
    });
  }

  /** @param {string} text what the guest has copied */
  guestCopied(text) {
    byId("clipboard-text").value = text;
    toast("The guest has copied something: it is in the clipboard panel.");
  }

  /** @param {string} type Soft or Hard */
  async #reboot(type) {
    byId("power-menu").hidePopover();
    const { namespace, name } = this.face?.info?.instance ?? {};
    const hard = type === "Hard";
    const sure = await confirmed(
      `${hard ? "Hard reboot" : "Reboot"} ${namespace}/${name}?`,
      hard
        ? "Its power is cut at once: what it has not written to its disk is lost."
        : "It is asked to shut down, and started again. One that does not answer is cut off in the end.",
      hard ? "Cut the power" : "Reboot",
    );
    if (!sure) return;
    await attempt(() => this.session.reboot(/** @type {"Soft" | "Hard"} */ (type)), "The reboot was asked for.");
    this.viewer?.focus();
  }

  /** @param {import("./watch.js").Watch} watch */
  async #end(watch) {
    byId("session-menu").hidePopover();
    if (!(await confirmed("End this session?", "The guest runs on. To come again, you need a new link.", "End session"))) return;
    await attempt(() => watch.end());
  }
}

/**
 * @param {string} id
 * @param {() => void} act
 */
function on(id, act) {
  byId(id).addEventListener("click", act);
}

/**
 * Says how it went.
 * @param {() => Promise<unknown>} act
 * @param {string} [done]
 */
async function attempt(act, done = "") {
  try {
    await act();
    if (done) toast(done);
  } catch (error) {
    toast(error instanceof Refusal ? error.message : "That did not work.");
  }
}

/** @param {HTMLTextAreaElement} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text.value);
  } catch {
    text.select(); // no permission, or no HTTPS
    document.execCommand("copy");
  }
}
