// Times and lengths of time as people read them. The zone is the reader's choice, and always named.

import { looks } from "./looks.svelte";

const MINE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const SECOND = 1000;
const UNITS = [
  ["day", 86_400 * SECOND],
  ["hour", 3600 * SECOND],
  ["minute", 60 * SECOND],
  ["second", SECOND],
] as const;

class Clock {
  /** Milliseconds since 1970, to the second: what shows it is drawn once a second at most. */
  now = $state(Date.now());
}

export const clock = new Clock();
setInterval(() => {
  if (!document.hidden) {
    clock.now = Date.now();
  }
}, SECOND);

/** The zone in which a time is shown. `own` is that of the schedule it belongs to, if it belongs to one. */
export function zoneOf(own?: string): string {
  if (looks.zone === "utc") {
    return "UTC";
  }
  return looks.zone === "schedule" && own ? own : MINE;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify([zone, options]);
  let found = formats.get(key);
  if (found === undefined) {
    // The Swedish form is that of ISO 8601: 2026-12-01 09:37:07.
    found = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, hourCycle: "h23", ...options });
    formats.set(key, found);
  }
  return found;
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;

/** "2026-12-01 09:37:07" */
export function fullTime(time: Date, own?: string): string {
  return format(zoneOf(own), { ...DAY, ...TIME }).format(time);
}

/** "09:37:07", with the day before it unless it is today. */
export function shortTime(time: Date, own?: string): string {
  const zone = zoneOf(own);
  const day = format(zone, DAY);
  const isToday = day.format(time) === day.format(clock.now);
  return format(zone, isToday ? TIME : { month: "2-digit", day: "2-digit", ...TIME }).format(time);
}

/** "Tue 2026-12-01 03:30" */
export function dayAndTime(time: Date, own?: string): string {
  const zone = zoneOf(own);
  const weekday = new Intl.DateTimeFormat(looks.language, { timeZone: zone, weekday: "short" }).format(time);
  return `${weekday} ${format(zone, { ...DAY, hour: "2-digit", minute: "2-digit" }).format(time)}`;
}

/** "3 seconds ago", "in 5 minutes" */
export function ago(time: Date, now = clock.now): string {
  const away = time.getTime() - now;
  const words = new Intl.RelativeTimeFormat(looks.language, { numeric: "always", style: "short" });
  for (const [unit, size] of UNITS) {
    if (Math.abs(away) >= size) {
      return words.format(Math.trunc(away / size), unit);
    }
  }
  return words.format(away < 0 ? -0 : 0, "second");
}

/** "240 ms", "1.3 s", "2 min 5 s", "3 h 12 min" */
export function length(milliseconds: number): string {
  const seconds = milliseconds / SECOND;
  if (milliseconds < 1) return `${milliseconds.toPrecision(2)} ms`;
  if (seconds < 1) return `${Math.round(milliseconds)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min${seconds % 60 >= 1 ? ` ${Math.floor(seconds % 60)} s` : ""}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ""}`;
}

const counts = new Intl.NumberFormat("en");

/** "12,400" */
export function count(value: number): string {
  return counts.format(value);
}

/** "0", "0.4", "12" */
export function rate(value: number): string {
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

/** "1.4 MB" */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  let left = value;
  while (left >= 1000 && power < units.length - 1) {
    left /= 1000;
    power += 1;
  }
  return `${power && left < 10 ? left.toFixed(1) : Math.round(left)} ${units[power]}`;
}
