// @ts-check
/** The card over the screen: what is going on while there is no picture, and what can be chosen. */

import { announce, byId, element, put } from "./dom.js";

/** @typedef {import("./endings.js").Ending} Ending */

const OFFERS = { takeOver: "Take over", connect: "Connect", again: "Try again" };

const notice = byId("notice");

/** @type {number | undefined} of the card that is shown, if it goes by itself */
let timer;

/**
 * @param {string} title
 * @param {string} [text]
 */
export function busy(title, text = "") {
  show("busy", { title, text });
  announce(title);
}

export function none() {
  clearInterval(timer);
  notice.hidden = true;
}

/**
 * @param {Ending} end
 * @param {string} command how to get a new link
 * @param {number} milliseconds until the page comes again by itself; 0: it does not
 * @returns {Promise<boolean>} when to come again; true: the user wants to take over
 */
export function choice(end, command, milliseconds) {
  const comesAgain = milliseconds > 0;
  show(end.state === "waiting" || end.state === "retrying" ? "busy" : "end", end, end.needsLink ? command : "");
  announce(`${end.title}. ${end.text} ${end.detail ?? ""} ${end.needsLink ? `To get a link: ${command}` : ""}`);
  return new Promise((resolve) => {
    /** @param {boolean} takeOver */
    const go = (takeOver) => {
      clearInterval(timer);
      resolve(takeOver);
    };
    const offer = end.offer ?? (comesAgain ? "now" : undefined);
    if (offer) {
      const label = offer === "now" ? "Try now" : OFFERS[offer];
      const button = element("button", { type: "button", text: label, className: comesAgain ? "button" : "button primary" });
      button.addEventListener("click", () => go(offer === "takeOver"));
      byId("notice-choices").append(button);
    }
    if (!comesAgain) {
      focusHere();
      return;
    }
    const due = performance.now() + milliseconds;
    const tick = () => {
      const seconds = Math.ceil((due - performance.now()) / 1000);
      if (end.state === "retrying") put(byId("notice-when"), seconds > 0 ? `Next try in ${seconds} s` : "Trying now");
      if (seconds <= 0) go(false);
    };
    timer = setInterval(tick, 250);
    tick();
  });
}

/**
 * @param {"busy" | "end"} kind
 * @param {Pick<Ending, "title" | "text" | "detail">} what
 * @param {string} command
 */
function show(kind, what, command = "") {
  clearInterval(timer);
  notice.dataset.kind = kind;
  byId("notice-title").textContent = what.title;
  put(byId("notice-text"), what.text);
  put(byId("notice-detail"), what.detail);
  byId("notice-command").textContent = command;
  byId("notice-link").hidden = !command;
  put(byId("notice-when"), "");
  byId("notice-choices").replaceChildren();
  notice.hidden = false;
}

/** For who uses the keyboard: the screen it was on is gone. Never takes it from a control that is in use. */
function focusHere() {
  if (document.activeElement && document.activeElement !== document.body) return;
  const target = byId("notice-choices").querySelector("button") ?? byId("notice-title");
  target.focus();
}
