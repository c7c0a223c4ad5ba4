import { createRequire } from "node:module";
import type { z } from "zod";

type Zod = typeof z;

const require = createRequire(import.meta.url);
let loaded: Zod | null = null;

/** The zod library. It takes about 100 ms of CPU to load, and a process that gets its options checked, as shards and balancer do, loads none. */
export function zod(): Zod {
	loaded ??= (require("zod") as { z: Zod }).z;
	return loaded;
}

/** Makes a schema when it is first asked for. */
export function lazySchema<T>(make: (library: Zod) => z.ZodType<T>): () => z.ZodType<T> {
	let schema: z.ZodType<T> | null = null;
	return () => {
		schema ??= make(zod());
		return schema;
	};
}
