// @ts-check
/** The page's elements. */

/**
 * @param {string} id of an element that index.html has
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * @param {string} tag
 * @param {Record<string, any>} properties of the element, `text` among them
 */
export function element(tag, { text = "", ...properties } = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

/**
 * Shows an element with a text, or hides it when there is none.
 * @param {HTMLElement} target
 * @param {string | undefined} text
 */
export function put(target, text) {
  target.textContent = text ?? "";
  target.hidden = !text;
}

/**
 * Tells those who do not see the page.
 * @param {string} sentence
 */
export function announce(sentence) {
  byId("live").textContent = sentence;
}
