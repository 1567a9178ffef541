// Which of the two languages is shown, and remembered. At first it is the browser's.

const KEPT = "celeriac.language";
export type Language = "en" | "zh-Hant-TW";

export function languageOfReader(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "zh-Hant-TW") {
    return kept;
  }
  return navigator.language.toLowerCase().startsWith("zh") ? "zh-Hant-TW" : "en";
}

export function keepLanguage(language: Language): void {
  localStorage.setItem(KEPT, language);
}

export function showLanguage(language: Language): void {
  document.documentElement.lang = language;
  document.documentElement.dataset.lang = language;
}

/** Fills a node with the same text in both languages; the style shows one of them. */
export function say(node: HTMLElement, english: string, chinese: string): void {
  const texts = { en: english, "zh-Hant-TW": chinese };
  node.replaceChildren(
    ...Object.entries(texts).map(([language, text]) => {
      const part = document.createElement("span");
      part.lang = language;
      part.textContent = text;
      return part;
    }),
  );
  node.hidden = false;
}
