// @ts-check
/** What the console proxy is asked, and how it refuses. */

const PATIENCE_MS = 15_000;

/** An answer other than 2xx, or none at all. Its message is a sentence for people. */
export class Refusal extends Error {
  /**
   * @param {number} status HTTP's; 0 when there was no answer
   * @param {string} reason CamelCase and stable, e.g. `TicketUsed`; empty if the answer was not the proxy's
   * @param {string} message
   */
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/**
 * @typedef {object} Info
 * @property {{namespace: string, name: string, phase?: string, message?: string}} instance
 * @property {"VNC" | "Serial"} type
 * @property {boolean} readOnly
 * @property {string} user
 * @property {string} expiresAt RFC 3339
 * @property {number} [connected] others who look at it, where that is known
 * @property {string[]} [actions] types of InstanceAction that the user may create
 */

/**
 * Uses a ticket up. The browser has the session's cookie afterwards.
 * @param {string} ticket
 * @returns {Promise<{session: string, url: string}>}
 */
export function redeem(ticket) {
  return post("/api/redeem", { ticket });
}

/** One session, by the path of its page: `/session/NAMESPACE/NAME/`. */
export class Session {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
  }

  /** @returns {Promise<Info>} */
  info() {
    return ask(`${this.path}info`);
  }

  /** @param {"Soft" | "Hard"} type */
  reboot(type) {
    return post(`${this.path}actions`, { type: "Reboot", reboot: { type } });
  }

  end() {
    return post(`${this.path}end`, {});
  }

  /** @param {boolean} takeOver */
  stream(takeOver) {
    const url = new URL(`${this.path}stream`, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (takeOver) url.searchParams.set("takeOver", "true");
    return new WebSocket(url);
  }

  /**
   * Why the stream was not opened. A browser does not tell what a WebSocket was refused with, so this asks for the same without
   * an upgrade: the answer is the same refusal, or that an upgrade is missing, which means that nothing else is.
   * @returns {Promise<Refusal | null>} null when there is no reason to be had
   */
  async whyNot() {
    try {
      await ask(`${this.path}stream`);
    } catch (error) {
      if (error instanceof Refusal && error.reason && error.status !== 400 && error.status !== 426) return error;
    }
    return null;
  }
}

/**
 * @param {string} path
 * @param {object} body
 */
function post(path, body) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>} the answer's JSON
 */
async function ask(path, options = {}) {
  let answer;
  let body;
  try {
    answer = await fetch(path, { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
    body = await answer.json().catch(() => ({}));
  } catch {
    throw new Refusal(0, "", "The console server does not answer.");
  }
  if (answer.ok) return body;
  throw new Refusal(answer.status, body.reason ?? "", body.message ?? `The console server answered with status ${answer.status}.`);
}
