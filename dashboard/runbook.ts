// The runbook as a module: the HTML of each chapter by the rule that it is about, made of docs/runbook*.md when the
// pages are built. So that an alert's page says what to do although nothing else can be reached.

import { Marked } from "marked";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const NAME = /^virtual:runbook\/(en|zh)$/;
const FILES = { en: "../docs/runbook.md", zh: "../docs/runbook.zh-TW.md" };
// The chapters of rules have a rule's name as their title.
const CHAPTER = /^## ([a-z0-9]+(?:-[a-z0-9]+)+)\n/gm;

function chaptersOf(markdown: string): Record<string, string> {
  const parts = markdown.split(CHAPTER).slice(1);
  const marked = new Marked({
    renderer: {
      // Other documents are in the project's folder, and not served: their names are told instead of a link.
      link({ href, text }) {
        const isOutside = /^https?:/.test(href);
        return isOutside ? `<a href="${href}" target="_blank" rel="noreferrer">${text}</a>` : text;
      },
    },
  });
  const chapters: Record<string, string> = {};
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const text = (parts[index + 1] ?? "").split(/^## /m)[0] ?? "";
    chapters[parts[index] ?? ""] = marked.parse(text, { async: false });
  }
  return chapters;
}

export function runbook(): Plugin {
  return {
    name: "celeriac-runbook",
    resolveId: (id) => (NAME.test(id) ? `\0${id}` : undefined),
    load(id) {
      const language = NAME.exec(id.replace("\0", ""))?.[1] as keyof typeof FILES | undefined;
      if (language === undefined) {
        return undefined;
      }
      const file = fileURLToPath(new URL(FILES[language], import.meta.url));
      this.addWatchFile(file);
      return `export default ${JSON.stringify(chaptersOf(readFileSync(file, "utf8")))};`;
    },
  };
}
