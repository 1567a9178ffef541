// Where the reader is: the path and the filters of the address. Every filter stands in the address, so that Back,
// reloading and a link sent to a colleague show the same.

class Place {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  /** The first part of the path: "" for the overview. */
  readonly page = $derived(this.path.split("/")[1] ?? "");
  /** What follows it, decoded: the name of one thing; "" for the list. */
  readonly item = $derived(decoded(this.path.split("/").slice(2).join("/")));
}

export const place = new Place();

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function look(): void {
  place.path = location.pathname;
  place.query = new URLSearchParams(location.search);
}

export function go(to: string, options: { replace?: boolean } = {}): void {
  const from = location.pathname;
  history[options.replace ? "replaceState" : "pushState"](null, "", to);
  look();
  if (location.pathname !== from) {
    scrollTo(0, 0);
    // A new page is told to screen readers by its heading. It is there after the next painting.
    requestAnimationFrame(() => document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true }));
  }
}

/** Returns the address of this page with some filters changed; an empty value takes one away. */
export function withQuery(changes: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(place.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) {
      query.set(name, value);
    } else {
      query.delete(name);
    }
  }
  const text = query.toString();
  return place.path + (text && `?${text}`);
}

/** Returns the address of one thing: pathOf("queues", "orders"). */
export function pathOf(page: string, item = ""): string {
  return `/${page}${item && `/${encodeURIComponent(item)}`}`;
}

function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  const changed = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0;
  if (!link || changed || event.defaultPrevented || link.target || link.origin !== location.origin) {
    return;
  }
  if (link.pathname.startsWith("/session") || link.getAttribute("href")?.startsWith("#")) {
    return;
  }
  event.preventDefault();
  go(link.pathname + link.search);
}

export function followLinks(): void {
  addEventListener("popstate", look);
  document.addEventListener("click", follow);
}
