import { isIP } from "node:net";

/**
 * The origin of a web page as browsers send it: scheme, host and port unless it is the scheme's own, in lower case. `*` stands for all,
 * `null` for pages that have none, such as files.
 * @throws RangeError whose message completes the sentence `"<list>" …` and says what to write.
 */
export function parseOrigin(text: string): string {
	if (text === "*" || text === "null") return text;
	if (text.includes("*")) throw new RangeError(`has a pattern, ${text}; name each origin, or * for all`);
	const [, scheme, rest] = /^([a-z][a-z\d+.-]*):\/\/(.*)$/i.exec(text) ?? [];
	if (scheme === undefined) {
		const host = text.replace(/^\/+/, "");
		throw new RangeError(`has an origin without a scheme, ${text}; write ${likelyScheme(host)}://${host}`);
	}
	if (/^wss?$/i.test(scheme))
		throw new RangeError(`has the address of a WebSocket, ${text}; write its page's origin, such as ${text.replace(/^ws/i, "http")}`);
	if (/^file$/i.test(scheme)) throw new RangeError(`has an origin that no page has, ${text}; write null for pages that are files`);
	if (/^(ftps?|mailto|data|javascript|blob|about)$/i.test(scheme))
		throw new RangeError(`has an origin that no page has, ${text}; write http://${rest} or https://${rest}`);
	// Those of apps and browser extensions (capacitor:, chrome-extension:) are no origins to the URL standard.
	const origin = /^https?$/i.test(scheme) ? webOrigin(text) : `${scheme}://${rest.replace(/^.*@|[/?#].*$/g, "")}`.toLowerCase();
	if (origin === null || origin.endsWith("://"))
		throw new RangeError(`has no valid host in ${text}; write, for example, https://trade.example`);
	if (/[/?#@]/.test(rest.replace(/\/$/, ""))) throw new RangeError(`has more than an origin, ${text}; write ${origin}`);
	return origin;
}

function webOrigin(text: string): string | null {
	return URL.canParse(text) ? new URL(text).origin : null;
}

function likelyScheme(host: string): "http" | "https" {
	const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
	return name === "localhost" || isIP(name) !== 0 ? "http" : "https";
}

/** @throws RangeError for `*` among others: one of the two was left there by mistake. */
export function oneOrAll(origins: readonly string[]): readonly string[] {
	if (origins.length > 1 && origins.includes("*")) throw new RangeError("has others beside *, which allows all; leave out either");
	return origins;
}
