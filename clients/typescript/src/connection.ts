// Where the gateway is, and by which token it is called. What can't be right is refused with a sentence.

/** A token, or a function that gives the one of now. It is asked before each call. */
export type Token = string | (() => string | Promise<string>);

/** Returns the target, which has to be host:port. Throws TypeError. */
export function checkedTarget(target: string): string {
  const [scheme, rest] = target.split("://", 2);
  if (rest !== undefined) {
    const example = rest.split("/")[0] || "127.0.0.1:8443";
    throw new TypeError(
      `the target "${target}" is a URL; it has to be host:port, without ${scheme}:// and path, for example ${example}`,
    );
  }
  if (!/^\S+:\d{1,5}$/.test(target)) {
    throw new TypeError(`the target "${target}" is not host:port; for example 127.0.0.1:8443`);
  }
  return target;
}

/** Returns the token. Throws TypeError, which does not repeat it, if it can't be one. */
export function checkedToken(token: string): string {
  if (typeof token !== "string") {
    throw new TypeError(`the token is of the type ${typeof token}; it has to be a string`);
  }
  if (token !== token.trim()) {
    throw new TypeError(
      "the token begins or ends with a line break or a blank, as a file does; use token.trim()",
    );
  }
  if (/^bearer /i.test(token)) {
    throw new TypeError('the token begins with "Bearer "; give the token alone');
  }
  if (!/^[\x21-\x7e]*$/.test(token)) {
    throw new TypeError(
      "the token has characters that no token has: line breaks, blanks or letters beyond ASCII",
    );
  }
  return token;
}

/** Returns the headers of a call. Asks the function for a token, if it is one. */
export async function headersWith(token: Token | undefined): Promise<Headers> {
  const headers = new Headers();
  const found = checkedToken(typeof token === "function" ? await token() : (token ?? ""));
  if (found) {
    headers.set("authorization", `Bearer ${found}`);
  }
  return headers;
}
