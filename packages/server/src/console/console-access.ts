import { type ConsoleRules, hostName, isLoopbackName, isSameOrigin, mayUseConsole } from "@shardcast/http";

/** The parts of a request for the console's feed that decide about access. Header values are as sent, "" when absent. */
export interface ConsoleHead {
	/** The token as sent; null when absent. */
	readonly token: string | null;
	readonly origin: string;
	readonly host: string;
	readonly address: string;
}

/**
 * Whether a page may read the feed. It must be the server's own page, loaded from the name and port that it connects to: --allowed-origins does not
 * apply, nor may other pages of this machine read it. Without a token, the connection must come from this machine, and use a name that means this
 * machine whatever a name server says. Otherwise a page whose name was made to point at 127.0.0.1 could read the feed in a browser here.
 */
export function canWatch(head: ConsoleHead, rules: ConsoleRules): boolean {
	if (!mayUseConsole(head.address, head.token, rules)) return false;
	if (head.origin !== "" && !isSameOrigin(head.origin, head.host)) return false;
	return rules.token !== undefined || isLoopbackName(hostName(head.host) ?? "");
}

/** Why `canWatch` says no. */
export function watchRefusal({ token, authRequired }: ConsoleRules): string {
	return token === undefined && authRequired
		? "the console needs a token here (--require-auth); set --console-token"
		: "without its token (--console-token), the console answers only pages of this server that are opened on this machine";
}
