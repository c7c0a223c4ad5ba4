import { join } from "node:path";

/** Folder of the console's files: one level up from this file, and also from the bundle that the build makes. */
export const consoleFolder = join(import.meta.dirname, "../console");
