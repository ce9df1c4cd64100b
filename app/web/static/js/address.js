// What a page has been asked to show is in its address, so that it can be kept and sent.

/**
 * The parameters of the address, with `defaults` for those that it has not, or that are not among `allowed[name]`.
 * `set(changes)` changes them, in the address too.
 */
export function address(defaults, allowed = {}) {
  const url = new URL(location);
  const values = {};
  for (const [name, value] of Object.entries(defaults)) {
    const given = url.searchParams.get(name);
    values[name] = given !== null && (allowed[name]?.includes(given) ?? true) ? given : value;
  }
  function set(changes) {
    Object.assign(values, changes);
    for (const [name, value] of Object.entries(values)) {
      if (value === defaults[name]) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    history.replaceState(null, "", url);
  }
  return { values, set };
}

/** A page number of an address: whatever it says, one that can be asked for. */
export const pageNumber = (text) => Math.min(1_000, Math.max(1, Math.floor(Number(text)) || 1));

/** A path with a query; parameters that are empty are left out. */
export function query(path, parameters) {
  const said = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null);
  return `${path}?${new URLSearchParams(said)}`;
}
