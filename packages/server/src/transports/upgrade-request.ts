import { type AllowedOrigins, originAllowed, originRefused, type Reply, refusal } from "@shardcast/http";
import type { ForwardedHead } from "./client-address.ts";

/** What makes a request one for a WebSocket. Header values are as sent, "" when absent. */
export interface Handshake {
	/** Lists, the values of all lines with commas between them. */
	readonly upgrade: string;
	readonly connection: string;
	readonly version: string;
	readonly hasBody: boolean;
}

/** What a WebSocket upgrade is judged by. */
export interface UpgradeHead extends Handshake {
	readonly query: string;
	readonly origin: string;
	readonly host: string;
	/** Those that the client offers, a list. */
	readonly subprotocols: string;
	/** Any header, by its name in lower case; "" when absent. All headers of a request together have at most 4 KiB. */
	readonly header: (name: string) => string;
}

export interface UpgradeRules {
	readonly allowedOrigins: AllowedOrigins;
	readonly draining: boolean;
}

/** An upgrade request, valid until the callback that it is given to returns. */
export interface UpgradeRequest {
	readonly head: UpgradeHead;
	readonly forwarded: ForwardedHead;
	/** The address at the other end, 4 or 16 bytes. */
	readonly remote: () => Uint8Array;
	/** The same as text. */
	readonly remoteText: () => string;
}

/** Why the request may not become a WebSocket, whichever; null = it may. Whether there is room for it is not looked at here. */
export function judgeUpgrade(head: UpgradeHead, rules: UpgradeRules): Reply | null {
	if (rules.draining) return refusal("shutting_down");
	if (!originAllowed(head.origin, head.host, rules.allowedOrigins)) return originRefused(head.origin, head.host);
	return judgeHandshake(head);
}

/**
 * Why a request with a Sec-WebSocket-Key asks for no WebSocket; the library itself looks at nothing else. The balancer's head parser judges
 * by the same: what is no WebSocket to the one must be none to the other.
 */
export function judgeHandshake(head: Handshake): Reply | null {
	if (!hasWord(head.upgrade, "websocket") || !hasWord(head.connection, "upgrade") || head.version !== "13") return upgradeRequired();
	return head.hasBody ? refusal("bad_request", "an upgrade must not have a body") : null;
}

/**
 * Whether a comma-separated list holds the word, in any case of ASCII letters: Unicode has others that become a "k". @param word in lower
 * case.
 */
export function hasWord(list: string, word: string): boolean {
	const lower = list.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
	return lower === word || lower.split(",").some((item) => trimBlanks(item) === word);
}

/** Without the spaces and tabs around it, which is all that HTTP calls white space. */
function trimBlanks(text: string): string {
	return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

/** To whoever asks for a WebSocket's path by plain HTTP. */
export function upgradeRequired(): Reply {
	return refusal("upgrade_required", undefined, {
		headers: { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
	});
}
