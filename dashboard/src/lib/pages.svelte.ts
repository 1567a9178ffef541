// The pages that there are, in the order of the navigation, each with the key that leads to it after "g".

import type { Component } from "svelte";
import type { Messages } from "../messages/en";

export interface Page {
  readonly name: keyof Messages["pages"];
  readonly path: string;
  readonly key: string;
  readonly load: () => Promise<{ default: Component }>;
}

export const PAGES: readonly Page[] = [
  { name: "overview", path: "", key: "o", load: () => import("../pages/Overview.svelte") },
];

/** Returns the page of the first part of a path. */
export function pageOf(path: string): Page | undefined {
  return PAGES.find((page) => page.path === path);
}
