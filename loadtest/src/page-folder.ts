import { join } from "node:path";

/** The parts of the HTML report. This file is as deep in `src` as its bundle in `dist`. */
export const pageFolder: string = join(import.meta.dirname, "../page");
