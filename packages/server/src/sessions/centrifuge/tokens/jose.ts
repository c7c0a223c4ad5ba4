type Jose = typeof import("jose");

let loading: Promise<Jose> | null = null;

/** Loads the library for JSON Web Tokens. That takes about 50 ms of CPU time, and a shard without keys does not need it. */
export function jose(): Promise<Jose> {
	loading ??= import("jose");
	return loading;
}
