// Lists that fetch their pages by themselves, as they are read.

/** One page, and the token of the next: "" on the last. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextPageToken: string;
  /** The whole answer, for what else it says. */
  readonly answer: Readonly<Record<string, unknown>>;
}

/** What a list method returns. Nothing is asked for before it is read; each reading begins anew. */
export class Listing<Item> implements AsyncIterable<Item> {
  constructor(
    private readonly fetchPage: (token: string) => Promise<Page<Item>>,
    private readonly limit: number = Infinity,
  ) {}

  /** Yields page after page, without regard to `limit`. */
  async *pages(): AsyncGenerator<Page<Item>, void, undefined> {
    let token = "";
    do {
      const page = await this.fetchPage(token);
      yield page;
      token = page.nextPageToken;
    } while (token);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    let left = this.limit;
    for await (const page of this.pages()) {
      yield* page.items.slice(0, left);
      left -= page.items.length;
      if (left <= 0) {
        return;
      }
    }
  }

  /** Returns all items. */
  async all(): Promise<Item[]> {
    const found: Item[] = [];
    for await (const item of this) {
      found.push(item);
    }
    return found;
  }

  /** Returns the first item; undefined if there is none. */
  async first(): Promise<Item | undefined> {
    for await (const item of this) {
      return item;
    }
    return undefined;
  }
}
