import { readFileSync } from "node:fs";

/** Version of this package, and so of the release. Read in this file because the path must also be right in the bundle that the build makes. */
export const version: string = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;
