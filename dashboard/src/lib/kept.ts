// What a reader chose, kept in this browser. Nothing is kept before a choice.

const PREFIX = "celeriac.";

export function kept<Choice extends string>(name: string, choices: readonly Choice[], first: Choice): Choice {
  const found = localStorage.getItem(PREFIX + name) as Choice | null;
  return found !== null && choices.includes(found) ? found : first;
}

export function keep(name: string, choice: string): void {
  localStorage.setItem(PREFIX + name, choice);
}
