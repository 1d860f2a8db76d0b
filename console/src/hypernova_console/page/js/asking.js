// @ts-check
/** Questions before what cannot be undone, and short news. */

import { byId } from "./dom.js";

const NEWS_MS = 6_000;

/** @type {number | undefined} */
let timer;

/** @param {string} sentence */
export function toast(sentence) {
  const place = byId("toast");
  place.textContent = sentence;
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), NEWS_MS);
}

/**
 * @param {string} title
 * @param {string} text
 * @param {string} verb on the button that does it
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, verb) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = verb;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
