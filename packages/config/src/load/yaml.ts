import { createRequire } from "node:module";

type Yaml = typeof import("yaml");

const require = createRequire(import.meta.url);

/** The YAML library. It takes a quarter of a second of CPU to load, in each process; so only a process that reads or writes YAML does. */
export function yaml(): Yaml {
	return require("yaml") as Yaml;
}
