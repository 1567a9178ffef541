// Which of the two languages is shown. The reader's choice is kept; at first it is the browser's language.

const KEPT = "celeriac.language";
export const CHINESE = "zh-Hant-TW";

export function choose(language) {
  document.documentElement.lang = language;
  document.documentElement.dataset.lang = language;
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.setAttribute("aria-pressed", String(button.dataset.choose === language));
  }
}

export function followReader() {
  const first = navigator.language.toLowerCase().startsWith("zh") ? CHINESE : "en";
  choose(localStorage.getItem(KEPT) ?? first);
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => {
      localStorage.setItem(KEPT, button.dataset.choose);
      choose(button.dataset.choose);
    });
  }
}

// Fills a node with the same text in both languages; the style shows one of them.
export function say(node, english, chinese) {
  node.replaceChildren(...[["en", english], [CHINESE, chinese]].map(([language, text]) => {
    const part = document.createElement("span");
    part.lang = language;
    part.textContent = text;
    return part;
  }));
  node.hidden = false;
}
