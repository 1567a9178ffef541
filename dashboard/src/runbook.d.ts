declare module "virtual:runbook/*" {
  /** The HTML of each chapter, by the name of the rule. */
  const chapters: Readonly<Record<string, string>>;
  export default chapters;
}
