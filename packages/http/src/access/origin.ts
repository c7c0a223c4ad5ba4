import { isLoopbackName } from "./access.ts";

/** In the list, it allows pages of every site, and pages without an origin. */
const everyOrigin = "*";

/** Allowed origins besides the server's own, in the form of `parseOrigin`. */
export type AllowedOrigins = ReadonlySet<string>;

export function allowedOrigins(listed: readonly string[]): AllowedOrigins {
	return new Set(listed);
}

/**
 * Whether a page may send this request. Browsers send the page's origin with each upgrade and POST, so this keeps foreign pages from using a
 * visitor's browser. Programs send none, and are allowed. A page may use the server if
 *
 * - it was loaded from the name and port that the request is for, that is, from this server or a proxy in front of it,
 * - it was loaded from this machine, on any port, and the request is for this machine too, or
 * - its origin is in the list.
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
 * Whether a foreign page sends this request. There is no Origin header with a GET whose answer the page may not read, such as for an image, but
 * browsers send Sec-Fetch-Site. @param fetchSite that header as sent.
 */
export function isCrossSite(fetchSite: string): boolean {
	return /^(cross|same)-site$/.test(fetchSite);
}

/** Whether all pages may use the server. */
export function allowsAll(allowed: AllowedOrigins): boolean {
	return allowed.has(everyOrigin);
}

/** Whether a page was loaded from the name and port that the request is for. Both as sent. */
export function isSameOrigin(origin: string, host: string): boolean {
	const page = authorityOf(origin);
	const server = page === null ? null : authorityOf(`${page.scheme}://${host}`);
	return page !== null && server !== null && isSame(page, server);
}

/** The name or address in a Host header, in lower case; null if the header is invalid. */
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
 * Null for an origin that is not a web page, such as "null" (a sandboxed frame, a file). Browsers write names in lower case and ASCII, and
 * addresses in one form only. So comparing text is correct, and safer than a URL parser that normalises.
 */
function authorityOf(origin: string): Authority | null {
	const match = /^(https?):\/\/(\[[\da-f:.]+\]|[^\s:[\]/?#@\\]+)(?::(\d{1,5}))?$/.exec(origin.toLowerCase());
	if (match === null) return null;
	const [, scheme = "", name = "", digits] = match;
	// A proxy that terminates TLS hides the scheme of the request. If the Host has no port, it follows from the page's scheme.
	return { scheme, name, port: digits === undefined ? defaultPorts[scheme] : Number(digits) };
}

function isSame(page: Authority, server: Authority): boolean {
	return page.name === server.name && page.port === server.port;
}
