type Jose = typeof import("jose");

let loading: Promise<Jose> | null = null;

/** The library for JSON Web Tokens. It takes about 50 ms of CPU to load, and a shard without keys for tokens needs none of it. */
export function jose(): Promise<Jose> {
	loading ??= import("jose");
	return loading;
}
