import { isLoopbackName } from "./access.ts";

/** Listed, it allows pages of every site, and those that have none. */
const everyOrigin = "*";

/** Origins that are allowed beside the server's own, as `parseOrigin` writes them. */
export type AllowedOrigins = ReadonlySet<string>;

export function allowedOrigins(listed: readonly string[]): AllowedOrigins {
	return new Set(listed);
}

/**
 * Whether a request may come from this page. A browser sends the page's origin with each upgrade and each POST, so this keeps foreign pages
 * from using a visitor's browser; programs send none, and are let through. A page may use the server if
 *
 * - it was loaded under the name and port that the request is for: by this server, or by the proxy in front of both,
 * - it was loaded from this machine, on any port, and the request is for this machine as well, or
 * - its origin is listed.
 *
 * @param origin the header as sent, "" when absent. @param host the Host header as sent, "" when absent.
 */
export function originAllowed(origin: string, host: string, allowed: AllowedOrigins): boolean {
	if (origin === "" || allowed.has(everyOrigin) || allowed.has(origin.toLowerCase())) return true;
	const page = authorityOf(origin);
	const server = page === null ? null : authorityOf(`${page.scheme}://${host}`);
	if (page === null || server === null) return false;
	return isSame(page, server) || (isLoopbackName(page.name) && isLoopbackName(server.name));
}

/**
 * Whether the browser of a foreign page asks: a page sends no Origin with a GET whose answer it may not read, such as that of an image, but its
 * browser says this. @param fetchSite the header Sec-Fetch-Site as sent.
 */
export function isForeignFetch(fetchSite: string): boolean {
	return /^(cross|same)-site$/.test(fetchSite);
}

/** Whether all pages may use the server. */
export function allowsEverybody(allowed: AllowedOrigins): boolean {
	return allowed.has(everyOrigin);
}

/** Whether a page was loaded under the name and port that the request is for. Both as sent. */
export function isOwnPage(origin: string, host: string): boolean {
	const page = authorityOf(origin);
	const server = page === null ? null : authorityOf(`${page.scheme}://${host}`);
	return page !== null && server !== null && isSame(page, server);
}

/** The name or address in a Host header, in lower case; null when the header is not one. */
export function hostName(host: string): string | null {
	return authorityOf(`http://${host}`)?.name ?? null;
}

interface Authority {
	readonly scheme: string;
	readonly name: string;
	readonly port: number;
}

const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/**
 * Null for what is no page of the web, such as "null" (a sandboxed frame, a file). Browsers write names in lower case and ASCII and
 * addresses in one form only, so that comparing them as text is right, and safer than to let a URL parser make them up.
 */
function authorityOf(origin: string): Authority | null {
	const match = /^(https?):\/\/(\[[\da-f:.]+\]|[^\s:[\]/?#@\\]+)(?::(\d{1,5}))?$/.exec(origin.toLowerCase());
	if (match === null) return null;
	const [, scheme = "", name = "", digits] = match;
	// A proxy that ends TLS hides the scheme of the request: where the Host has no port, the page's scheme says which is meant.
	return { scheme, name, port: digits === undefined ? defaultPorts[scheme] : Number(digits) };
}

function isSame(page: Authority, server: Authority): boolean {
	return page.name === server.name && page.port === server.port;
}
