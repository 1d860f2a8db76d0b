// @ts-check
/** Menus and panels under their buttons; opening, Escape and clicks beside are the browser's own (popover). */

const GAP = 6;

export function wireMenus() {
  for (const button of document.querySelectorAll("button[popovertarget]")) {
    const menu = document.getElementById(button.getAttribute("popovertarget") ?? "");
    if (menu) wire(/** @type {HTMLButtonElement} */ (button), menu);
  }
}

/**
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} menu
 */
function wire(button, menu) {
  button.setAttribute("aria-expanded", "false");
  menu.addEventListener("toggle", (event) => {
    const open = /** @type {ToggleEvent} */ (event).newState === "open";
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    place(button, menu);
    /** @type {HTMLElement | null} */ (menu.querySelector("textarea, button:not(:disabled)"))?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const items = [.../** @type {NodeListOf<HTMLElement>} */ (menu.querySelectorAll("[role=menuitem]"))];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !items.length) return;
    event.preventDefault();
    const now = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    items[(now + step + items.length) % items.length].focus();
  });
}

/**
 * Below the button or, where the bar is at the bottom, above; always inside the window.
 * @param {HTMLElement} button
 * @param {HTMLElement} menu
 */
function place(button, menu) {
  const at = button.getBoundingClientRect();
  const below = at.top < innerHeight / 2;
  menu.style.top = below ? `${at.bottom + GAP}px` : "auto";
  menu.style.bottom = below ? "auto" : `${innerHeight - at.top + GAP}px`;
  menu.style.left = `${Math.max(GAP, Math.min(at.left, innerWidth - menu.offsetWidth - GAP))}px`;
  menu.style.maxHeight = `${(below ? innerHeight - at.bottom : at.top) - 3 * GAP}px`;
}
