import { readFileSync } from "node:fs";

/** Of this package, and so of the whole release. */
export const version: string = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
