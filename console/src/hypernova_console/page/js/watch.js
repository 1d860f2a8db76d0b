// @ts-check
/** Keeps one session's stream connected: again and again until it ends for good or the user leaves. */

import { closed, delay, ending, refused, withoutConsole } from "./endings.js";

/** A connection that lasted this long was a good one: the next try after it comes soon. */
const STEADY_MS = 5_000;

/** From asking for the stream to the guest's first words. */
const CONNECT_MS = 20_000;

const INFO_INTERVAL_MS = 15_000;

/** @typedef {import("./api.js").Info} Info */
/** @typedef {import("./endings.js").Ending} Ending */

/**
 * @typedef {object} Viewer
 * @property {(socket: WebSocket) => Promise<void>} connect
 * @property {() => void} release
 */

/**
 * @typedef {object} Face what is told and asked
 * @property {(info: Info) => void} tell
 * @property {(info: Info) => Promise<Viewer>} viewer
 * @property {() => void} connecting
 * @property {() => void} connected
 * @property {(end: Ending, milliseconds: number) => Promise<boolean>} ended when to come again; true: to take over
 */

export class Watch {
  /** @type {string} reason of an ending that the user has chosen; empty if none */
  #leaving = "";
  #takeOver = false;
  /** @type {WebSocket | null} */
  #socket = null;
  #wake = () => {};

  /**
   * @param {import("./api.js").Session} session
   * @param {Face} face
   */
  constructor(session, face) {
    this.session = session;
    this.face = face;
  }

  /** Disconnects; the session stays. */
  detach() {
    this.#leaving = "Detached";
    this.#interrupt();
  }

  /**
   * Ends the session.
   * @throws {import("./api.js").Refusal}
   */
  async end() {
    this.#leaving = "Ended"; // the stream's end may come before the answer
    try {
      await this.session.end();
    } catch (refusal) {
      this.#leaving = "";
      throw refusal;
    }
    if (this.#leaving) this.#interrupt();
  }

  /** Connects anew, as the one who has it for himself. */
  takeOver() {
    this.#takeOver = true;
    this.#interrupt();
  }

  async run() {
    let attempt = 0;
    for (;;) {
      const started = performance.now();
      let end = await this.#once();
      if (performance.now() - started > STEADY_MS) attempt = 0;
      if (this.#takeOver) continue;
      if (this.#leaving) end = ending(this.#leaving);
      this.#leaving = "";
      const comesAgain = end.state === "waiting" || end.state === "retrying";
      const interrupted = new Promise((resolve) => {
        this.#wake = () => resolve(this.#takeOver);
      });
      this.#takeOver = await Promise.race([this.face.ended(end, comesAgain ? delay(end, attempt) : 0), interrupted]);
      attempt = comesAgain ? attempt + 1 : 0;
    }
  }

  #interrupt() {
    this.#socket?.close();
    this.#wake();
  }

  /** One connection, from asking what there is to its end. */
  async #once() {
    if (this.#leaving) return ending(this.#leaving);
    let info;
    try {
      info = await this.session.info();
    } catch (refusal) {
      return refused(/** @type {import("./api.js").Refusal} */ (refusal));
    }
    this.face.tell(info);
    const off = withoutConsole(info);
    if (off) return off;
    const viewer = await this.face.viewer(info);
    this.face.connecting();
    return this.#stream(viewer);
  }

  /** @param {Viewer} viewer */
  async #stream(viewer) {
    const socket = this.session.stream(this.#takeOver);
    this.#takeOver = false;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let opened = false;
    let connected = false;
    socket.addEventListener("open", () => {
      opened = true;
    });
    /** @type {Promise<CloseEvent>} */
    const closing = new Promise((resolve) => socket.addEventListener("close", resolve));
    const patience = setTimeout(() => socket.close(), CONNECT_MS);
    let news;
    if ((await Promise.race([viewer.connect(socket).then(() => "connected"), closing])) === "connected") {
      clearTimeout(patience);
      connected = true;
      this.face.connected();
      news = setInterval(() => this.session.info().then(this.face.tell, () => {}), INFO_INTERVAL_MS);
    }
    const { code, reason } = await closing;
    clearTimeout(patience);
    clearInterval(news);
    this.#socket = null;
    viewer.release();
    const refusal = opened || this.#leaving ? null : await this.session.whyNot();
    return refusal ? refused(refusal) : closed(code, reason, connected);
  }
}
