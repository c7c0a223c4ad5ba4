import type { UpgradeHead } from "../../transports/upgrade-request.ts";

/**
 * The token of a client that asks for the raw endpoint: of `?token=`, else of `Authorization: Bearer`, else of the cookie; "" = none. A browser
 * can send the first and the last only.
 * @param cookie its name; "" = cookies are not looked at.
 */
export function tokenIn({ query, header }: Pick<UpgradeHead, "query" | "header">, cookie: string): string {
	const asked = query.includes("token") ? new URLSearchParams(query).get("token") : null;
	if (asked !== null) return asked;
	const bearer = /^Bearer +(\S+)$/i.exec(header("authorization"))?.[1];
	return bearer ?? (cookie === "" ? "" : cookieIn(header("cookie"), cookie));
}

/** The value of a cookie, without the quotes that it may have; "" = there is none. */
export function cookieIn(cookies: string, name: string): string {
	for (const pair of cookies.split(";")) {
		const at = pair.indexOf("=");
		if (at > 0 && pair.slice(0, at).trim() === name)
			return pair
				.slice(at + 1)
				.trim()
				.replace(/^"(.*)"$/, "$1");
	}
	return "";
}
