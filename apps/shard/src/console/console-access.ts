import { isLoopback, mayUseConsole } from "@shardcast/service";

/** What an upgrade of the console's feed is judged by. Header values are as sent, "" when absent. */
export interface ConsoleHead {
	readonly query: string;
	readonly origin: string;
	readonly host: string;
	readonly address: string;
}

/**
 * Whether a page may be fed. Without a token the connection must come from this machine *and* the page must be our own: a browser here would
 * otherwise let any page of the web read along. The host is looked at because a name that is made to point at 127.0.0.1
 * would make a foreign page look like ours.
 */
export function mayWatch(head: ConsoleHead, token: string | undefined): boolean {
	if (!mayUseConsole(head.address, new URLSearchParams(head.query).get("token"), token)) return false;
	if (head.origin !== "" && hostOf(head.origin) !== head.host.toLowerCase()) return false;
	return token !== undefined || isOwnName(head.host);
}

function hostOf(origin: string): string | null {
	try {
		return new URL(origin).host;
	} catch {
		// Not an origin at all, such as "null" of a sandboxed frame.
		return null;
	}
}

function isOwnName(host: string): boolean {
	const name = host.toLowerCase().replace(/:\d+$/, "");
	return name === "localhost" || isLoopback(name.replace(/^\[|\]$/g, ""));
}

export const consoleForbidden =
	"the console answers pages of this server, opened on this machine, unless it is given its token (--console-token)";
