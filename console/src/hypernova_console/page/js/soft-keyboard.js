// @ts-check
/** The keyboard of a phone or tablet, which writes into text fields and sends no keys. */

import { byId } from "./dom.js";
import { BACKSPACE, typing } from "./keys.js";

/** There has to be something that the backspace key can take away. */
const FILLING = "\u2007".repeat(64);

/**
 * @param {(keys: import("./keys.js").Key[]) => void} press
 * @param {(codePoint: number) => number} keysym of a character
 */
export function followSoftKeyboard(press, keysym) {
  const field = byId("soft-input");
  let before = FILLING;
  const refill = () => {
    field.value = before = FILLING;
  };
  field.addEventListener("focus", refill);
  // What is being composed is replaced again and again: the difference to before is what was typed.
  field.addEventListener("input", (/** @type {InputEvent} */ event) => {
    const now = field.value;
    let same = 0;
    while (same < before.length && before[same] === now[same]) same += 1;
    for (let gone = before.length - same; gone > 0; gone -= 1) press([BACKSPACE]);
    for (const keys of typing(now.slice(same), keysym)) press(keys);
    before = now;
    if (!event.isComposing) refill();
  });
  byId("soft-keyboard").addEventListener("click", () => field.focus());
}
