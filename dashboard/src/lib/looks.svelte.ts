// How the reader wants to see it: language, theme, and the time zone of all times.

import { keepLanguage, type Language, languageOfReader, showLanguage } from "../enter/language";
import { en, type Messages } from "../messages/en";
import { zh } from "../messages/zh";
import { keep, kept } from "./kept";

export const THEMES = ["system", "light", "dark"] as const;
export const ZONES = ["mine", "schedule", "utc"] as const;
export type Theme = (typeof THEMES)[number];
export type Zone = (typeof ZONES)[number];

class Looks {
  language = $state<Language>(languageOfReader());
  theme = $state<Theme>(kept("theme", THEMES, "system"));
  zone = $state<Zone>(kept("zone", ZONES, "mine"));
  readonly words = $derived<Messages>(this.language === "en" ? en : zh);

  chooseLanguage(language: Language): void {
    this.language = language;
    keepLanguage(language);
    showLanguage(language);
  }

  chooseTheme(theme: Theme): void {
    this.theme = theme;
    keep("theme", theme);
    this.show();
  }

  chooseZone(zone: Zone): void {
    this.zone = zone;
    keep("zone", zone);
  }

  show(): void {
    showLanguage(this.language);
    document.documentElement.dataset.theme = this.theme;
  }
}

export const looks = new Looks();

/** The texts in the reader's language. Read it where it is shown, so that it follows the choice. */
export function t(): Messages {
  return looks.words;
}
