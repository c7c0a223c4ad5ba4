import { createRequire } from "node:module";

type Yaml = typeof import("yaml");

const require = createRequire(import.meta.url);
let loaded: Yaml | null = null;

/** The YAML library. It takes about 40 ms of CPU to load, in each process; so only a process that reads or writes YAML loads it. */
export function yaml(): Yaml {
	loaded ??= require("yaml") as Yaml;
	return loaded;
}
