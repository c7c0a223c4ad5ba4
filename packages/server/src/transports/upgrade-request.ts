import { type AllowedOrigins, originAllowed, originRefused, type Reply, refusal } from "@shardcast/http";
import type { ForwardedHead } from "./client-address.ts";

/** The parts of a request that make it a WebSocket handshake. Header values are as sent, "" when absent. */
export interface Handshake {
	/** The values of all lines of a header, joined by commas. The same for `connection`. */
	readonly upgrade: string;
	readonly connection: string;
	readonly version: string;
	readonly hasBody: boolean;
}

/** The parts of an upgrade request that decide whether it is accepted. */
export interface UpgradeHead extends Handshake {
	readonly query: string;
	readonly origin: string;
	readonly host: string;
	/** Sub-protocols that the client offers, as a list. */
	readonly subprotocols: string;
	/** Any header by its name in lower case, all its lines as one; "" when absent, or if its first line is empty. All headers of a request have at most 4 KiB. */
	readonly header: (name: string) => string;
	/** The same, also if its first line is empty: a client could hide by that what a proxy has added. */
	readonly joinedHeader: (name: string) => string;
}

export interface UpgradeRules {
	readonly allowedOrigins: AllowedOrigins;
	readonly draining: boolean;
}

/** An upgrade request, valid until the callback returns. */
export interface UpgradeRequest {
	readonly head: UpgradeHead;
	readonly forwarded: ForwardedHead;
	/** The peer's address, 4 or 16 bytes. */
	readonly remote: () => Uint8Array;
	/** The peer's address as text. */
	readonly remoteText: () => string;
}

/** Why the request may not become any WebSocket; null if it may. Does not check whether there is room. */
export function judgeUpgrade(head: UpgradeHead, rules: UpgradeRules): Reply | null {
	if (rules.draining) return refusal("shutting_down");
	if (!originAllowed(head.origin, head.host, rules.allowedOrigins)) return originRefused(head.origin, head.host);
	return judgeHandshake(head);
}

/**
 * Why a request with a Sec-WebSocket-Key is not a valid handshake; the library itself checks only the key. The balancer's head parser uses the same
 * rules, since both must agree on what is a WebSocket.
 */
export function judgeHandshake(head: Handshake): Reply | null {
	if (!listIncludes(head.upgrade, "websocket") || !listIncludes(head.connection, "upgrade") || head.version !== "13")
		return upgradeRequired();
	return head.hasBody ? refusal("bad_request", "an upgrade must not have a body") : null;
}

/**
 * Whether a comma-separated list contains the word, ignoring the case of ASCII letters only: Unicode has other letters that become a "k".
 * @param word in lower case.
 */
export function listIncludes(list: string, word: string): boolean {
	// Of each client's handshake: the usual spellings, without an allocation.
	if (isWord(list, word)) return true;
	return list.split(",").some((item) => isWord(trimBlanks(item), word));
}

function isWord(text: string, word: string): boolean {
	if (text.length !== word.length) return false;
	for (let index = 0; index < text.length; index++) {
		const code = text.charCodeAt(index);
		const lower = code >= 65 && code <= 90 ? code + 32 : code;
		if (lower !== word.charCodeAt(index)) return false;
	}
	return true;
}

/** Removes surrounding spaces and tabs, which is white space in HTTP. */
function trimBlanks(text: string): string {
	return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

/** The answer to a plain HTTP request for the path of a WebSocket. */
export function upgradeRequired(): Reply {
	return refusal("upgrade_required", undefined, {
		headers: { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
	});
}
