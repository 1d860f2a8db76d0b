// @ts-check
/** Keys that a browser or a phone cannot send by itself, and text as keys. Pure. */

/**
 * @typedef {object} Key
 * @property {number} keysym X11's
 * @property {string} code KeyboardEvent.code, for guests that want scan codes; empty where the layout decides
 */

/**
 * @typedef {object} Combo
 * @property {string} label
 * @property {Key[]} keys pressed in this order, released in the other
 */

/** @type {Record<string, Key>} */
const KEY = {
  ctrl: { keysym: 0xffe3, code: "ControlLeft" },
  alt: { keysym: 0xffe9, code: "AltLeft" },
  shift: { keysym: 0xffe1, code: "ShiftLeft" },
  meta: { keysym: 0xffeb, code: "MetaLeft" },
  del: { keysym: 0xffff, code: "Delete" },
  backspace: { keysym: 0xff08, code: "Backspace" },
  tab: { keysym: 0xff09, code: "Tab" },
  enter: { keysym: 0xff0d, code: "Enter" },
  esc: { keysym: 0xff1b, code: "Escape" },
  f4: { keysym: 0xffc1, code: "F4" },
  print: { keysym: 0xff61, code: "PrintScreen" },
};

/** @param {number} number @returns {Key} */
const f = (number) => ({ keysym: 0xffbd + number, code: `F${number}` });

export const ENTER = KEY.enter;
export const BACKSPACE = KEY.backspace;

export const CTRL_ALT_DEL = { label: "Ctrl + Alt + Del", keys: [KEY.ctrl, KEY.alt, KEY.del] };

/** @type {Combo[]} */
export const SCREEN_COMBOS = [
  CTRL_ALT_DEL,
  { label: "Ctrl + Alt + Backspace", keys: [KEY.ctrl, KEY.alt, KEY.backspace] },
  { label: "Alt + Tab", keys: [KEY.alt, KEY.tab] },
  { label: "Alt + F4", keys: [KEY.alt, KEY.f4] },
  { label: "Super", keys: [KEY.meta] },
  { label: "Esc", keys: [KEY.esc] },
  { label: "Tab", keys: [KEY.tab] },
  { label: "Print Screen", keys: [KEY.print] },
  ...[1, 2, 3, 7].map((number) => ({ label: `Ctrl + Alt + F${number}`, keys: [KEY.ctrl, KEY.alt, f(number)] })),
];

/** What terminals send for keys that phones lack or browsers keep. */
export const LINE_COMBOS = [
  { label: "Ctrl + C", text: "\x03" },
  { label: "Ctrl + D", text: "\x04" },
  { label: "Ctrl + Z", text: "\x1a" },
  { label: "Ctrl + W", text: "\x17" },
  { label: "Ctrl + ]", text: "\x1d" },
  { label: "Esc", text: "\x1b" },
  { label: "Tab", text: "\t" },
  { label: "Arrow up", text: "\x1b[A" },
  { label: "Arrow down", text: "\x1b[B" },
];

const SHIFTED = new Set('ABCDEFGHIJKLMNOPQRSTUVWXYZ~!@#$%^&*()_+{}|:"<>?');

/**
 * The keys that type a text, one list per character, as on a US keyboard, which is the layout QEMU assumes.
 * @param {string} text
 * @param {(codePoint: number) => number} keysym of a character
 * @returns {Key[][]}
 */
export function typing(text, keysym) {
  return [...text.replaceAll("\r\n", "\n")].map((character) => {
    if (character === "\n" || character === "\r") return [KEY.enter];
    if (character === "\t") return [KEY.tab];
    const key = { keysym: keysym(/** @type {number} */ (character.codePointAt(0))), code: "" };
    return SHIFTED.has(character) ? [KEY.shift, key] : [key];
  });
}
