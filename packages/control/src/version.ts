import { readFileSync } from "node:fs";

/** Of this package, and so of the whole release. Here, since the path has to be right from the file that the build makes of these sources, too. */
export const version: string = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;
