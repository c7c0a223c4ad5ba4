/**
 * Whether a page of this origin may connect. Programs send no Origin and are let through; browsers always do, so this keeps
 * strangers' pages from using a visitor's browser. An empty list lets all through, and so does `*`.
 */
export function originAllowed(origin: string, allowed: readonly string[]): boolean {
	return origin === "" || allowed.length === 0 || allowed.includes("*") || allowed.includes(origin.toLowerCase());
}

/** As compared: without a slash at the end, in lower case. */
export function normalizeOrigins(origins: readonly string[]): readonly string[] {
	return origins.map((origin) => origin.toLowerCase().replace(/\/+$/, ""));
}
