// @ts-check
/** What the end of a connection means: what to tell, and what comes next. Pure. */

/** @typedef {import("./api.js").Refusal} Refusal */

/**
 * @typedef {object} Ending
 * @property {string} reason CamelCase, as in refusals
 * @property {"waiting" | "retrying" | "detached" | "ended"} state waiting and retrying come again by themselves
 * @property {string} title
 * @property {string} text what to do
 * @property {string} [detail] what the server said
 * @property {boolean} [needsLink] whether only a new link helps
 * @property {"takeOver" | "connect" | "again"} [offer] what the user may choose instead of waiting, or where nothing comes by itself
 */

/** hypernova_api.console.CloseCode, by what its codes are called in refusals. */
const CLOSE_CODES = new Map([
  [4001, "GuestOff"],
  [4002, "TakenOver"],
  [4003, "InstanceGone"],
  [4004, "Moved"],
  [4005, "Revoked"],
  [4006, "SessionExpired"],
  [4007, "HostUnreachable"],
]);

/** Phases in which a guest has no console, and what is waited for. */
const WITHOUT_CONSOLE = new Map([
  ["Pending", "The Instance is waiting for a host."],
  ["Building", "The Instance is being built."],
  ["Stopped", "The Instance is stopped."],
  ["Suspended", "The Instance is suspended to disk."],
  ["Shelved", "The Instance is shelved."],
  ["Failed", "The Instance has failed."],
]);

/** @type {Record<string, Omit<Ending, "reason">>} */
const ENDINGS = {
  GuestOff: {
    state: "waiting",
    title: "The guest is off",
    text: "This page connects by itself as soon as it is back.",
  },
  Moved: {
    state: "retrying",
    title: "The Instance is on another node now",
    text: "This page follows it by itself.",
  },
  HostUnreachable: {
    state: "retrying",
    title: "The node does not answer",
    text: "The guest itself may well be running. This page tries again by itself.",
  },
  ConnectionLost: {
    state: "retrying",
    title: "The connection was lost",
    text: "The guest is not affected. This page tries again by itself.",
  },
  TakenOver: {
    state: "ended",
    title: "Somebody else took over",
    text: "Only one can have this console at a time. Taking it back ends the other’s connection.",
    offer: "takeOver",
  },
  InUse: {
    state: "ended",
    title: "The console is in use",
    text: "Only one can have it at a time. Taking over ends the other’s connection, and tells who did.",
    offer: "takeOver",
  },
  Detached: {
    state: "detached",
    title: "Disconnected",
    text: "The session stays open in this tab until its time is up. The guest runs on.",
    offer: "connect",
  },
  Ended: {
    state: "ended",
    title: "You have ended the session",
    text: "The guest runs on.",
    needsLink: true,
  },
  InstanceGone: {
    state: "ended",
    title: "The Instance was deleted",
    text: "There is nothing to look at any more. One that is made again under its name needs a new link.",
    needsLink: true,
  },
  Revoked: {
    state: "ended",
    title: "The session was ended",
    text: "Somebody ended it, or you may not use this console any more.",
    needsLink: true,
  },
  SessionExpired: {
    state: "ended",
    title: "The time of this session is up",
    text: "It has lasted as long as it may. The guest runs on.",
    needsLink: true,
  },
  SessionUnknown: {
    state: "ended",
    title: "This session is not open here",
    text: "It belongs to another browser, or has ended.",
    needsLink: true,
  },
  Forbidden: {
    state: "ended",
    title: "You may not use this console",
    text: "Whoever administers the namespace can give you the right to it. Then you need a new link.",
    needsLink: true,
  },
  TicketMissing: {
    state: "ended",
    title: "A link is needed",
    text: "Consoles are opened by links that are made for one person and one Instance.",
    needsLink: true,
  },
  TicketUsed: {
    state: "ended",
    title: "This link has been used",
    text: "Each opens one session, once. If that was not you, delete its ConsoleSession, which ends it at once.",
    needsLink: true,
  },
  TicketExpired: {
    state: "ended",
    title: "This link has expired",
    text: "A link has to be opened soon after it was made.",
    needsLink: true,
  },
  TicketUnknown: {
    state: "ended",
    title: "This link is not valid",
    text: "It was withdrawn, or is not complete: all of it has to be copied.",
    needsLink: true,
  },
  TooManyTries: {
    state: "ended",
    title: "Too many tries",
    text: "Links were tried too often from where you are. Wait a minute, then try again.",
    offer: "again",
  },
  Unanswered: {
    state: "ended",
    title: "The console server does not answer",
    text: "Your link was not used up if it has not got there. Try again.",
    offer: "again",
  },
};

/**
 * @param {string} reason a key of ENDINGS
 * @param {string} [detail]
 * @returns {Ending}
 */
export function ending(reason, detail = "") {
  return { reason, detail, ...ENDINGS[reason] };
}

/**
 * The end of a stream.
 * @param {number} code of the WebSocket
 * @param {string} detail
 * @param {boolean} connected whether there was a guest at its end; where not, somebody had it before
 */
export function closed(code, detail, connected) {
  const reason = CLOSE_CODES.get(code) ?? "ConnectionLost";
  return ending(reason === "TakenOver" && !connected ? "InUse" : reason, detail);
}

/**
 * A refusal of what the session needs. What nobody has words for here is not final: a proxy may be restarting.
 * @param {Refusal} refusal
 */
export function refused(refusal) {
  if (refusal.reason in ENDINGS) return ending(refusal.reason, refusal.message);
  if (refusal.status === 401) return ending("SessionUnknown", refusal.message);
  if (refusal.status === 403) return ending("Forbidden", refusal.message);
  return ending("ConnectionLost", refusal.message);
}

/**
 * A refusal of a ticket; nothing is tried again by itself.
 * @param {Refusal} refusal
 */
export function ticketRefused(refusal) {
  if (refusal.reason in ENDINGS) return ending(refusal.reason, refusal.message);
  if (refusal.status === 401) return ending("TicketUnknown", refusal.message);
  return ending("Unanswered", refusal.message);
}

/**
 * @param {import("./api.js").Info} info
 * @returns {Ending | null} null if the Instance has a console in its phase
 */
export function withoutConsole(info) {
  const title = WITHOUT_CONSOLE.get(info.instance.phase ?? "");
  return title ? { ...ending("GuestOff", info.instance.message), title } : null;
}

/**
 * How long until the next try.
 * @param {Ending} end
 * @param {number} attempt 0, 1, ... since it was last connected for a while
 * @param {() => number} random between 0 and 1, so that not all pages come at once after a restart
 * @returns {number} milliseconds
 */
export function delay(end, attempt, random = Math.random) {
  const longest = end.state === "waiting" ? 4_000 : 30_000;
  return Math.min(longest, 500 * 2 ** attempt) * (0.75 + random() / 2);
}
