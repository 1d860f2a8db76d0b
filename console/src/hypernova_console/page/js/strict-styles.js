// @ts-check
/**
 * Lets xterm.js live under `style-src 'self'`.
 *
 * It puts rules into <style> elements that it makes, and colours of cells into style attributes; a browser ignores both under a
 * policy without 'unsafe-inline'. The same, by the ways that a script of ours may go anyway and markup that got in by mistake may
 * not: rules as constructed style sheets, attributes through the style object. (documentOverride of xterm.js 6.0 would be the
 * polite way, but reaches only some of the places where it makes elements.)
 */
export function allowStyles() {
  const create = document.createElement.bind(document);
  // @ts-ignore: one of several signatures
  document.createElement = (name, options) => (name === "style" ? styleSheet(create("template")) : create(name, options));

  const setAttribute = Element.prototype.setAttribute;
  /** @param {string} name @param {string} value */
  HTMLSpanElement.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}

/**
 * @param {HTMLTemplateElement} element stands in the page for the style sheet and shows nothing
 */
function styleSheet(element) {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, "textContent", { set: (rules) => sheet.replaceSync(rules) });
  return element;
}
