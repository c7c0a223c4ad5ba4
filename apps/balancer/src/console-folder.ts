import { join } from "node:path";

/** Where the console's files are: from here, as from the one file that the build makes of these sources, it is one folder up. */
export const consoleFolder = join(import.meta.dirname, "../console");
