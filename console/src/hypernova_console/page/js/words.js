// @ts-check
/** Times and commands in words. Pure. */

/**
 * @param {number} seconds
 * @returns {string} `7 h 59 min left`, `4 min left`, `40 s left`
 */
export function left(seconds) {
  if (seconds <= 0) return "time is up";
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min left`;
  const rest = minutes % 60 ? ` ${minutes % 60} min` : "";
  return `${Math.floor(minutes / 60)} h${rest} left`;
}

/**
 * The command that makes a new link.
 * @param {import("./api.js").Info | null} info of what the old one was for, if that is known
 */
export function linkCommand(info) {
  if (!info) return "kubectl hypernova vnc NAME";
  const verb = info.type === "Serial" ? "console" : "vnc";
  return `kubectl hypernova ${verb} ${info.instance.name} -n ${info.instance.namespace}`;
}
