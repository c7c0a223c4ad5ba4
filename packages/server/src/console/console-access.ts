import { type ConsoleRules, hostName, isLoopbackName, isOwnPage, mayUseConsole } from "@shardcast/http";

/** What a request for the console's feed is judged by. Header values are as sent, "" when absent. */
export interface ConsoleHead {
	/** As shown; null when none is. */
	readonly token: string | null;
	readonly origin: string;
	readonly host: string;
	readonly address: string;
}

/**
 * Whether a page may be fed. It must be our own, loaded under the name and port that it connects to: neither --allowed-origins nor another
 * page of this machine opens the console. Without a token the connection must also come from this machine, for a name that is this
 * machine's whatever a name server says: a browser here would otherwise let any page read along whose name is made to point at 127.0.0.1.
 */
export function mayWatch(head: ConsoleHead, rules: ConsoleRules): boolean {
	if (!mayUseConsole(head.address, head.token, rules)) return false;
	if (head.origin !== "" && !isOwnPage(head.origin, head.host)) return false;
	return rules.token !== undefined || isLoopbackName(hostName(head.host) ?? "");
}

export const consoleForbidden =
	"the console answers pages of this server, opened on this machine, unless it is given its token (--console-token)";
