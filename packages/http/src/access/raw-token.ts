import type { HttpRequest } from "../routing/request.ts";

/**
 * The token in a request to the raw endpoint: from `?token=`, else from `Authorization: Bearer`, else from the cookie; "" = none. Browsers can
 * send only the first and the last.
 * @param cookie the name of the cookie; "" = cookies are ignored.
 */
export function tokenIn({ query, header }: Pick<HttpRequest, "query" | "header">, cookie: string): string {
	const asked = query.includes("token") ? new URLSearchParams(query).get("token") : null;
	if (asked !== null) return asked;
	const bearer = /^Bearer +(\S+)$/i.exec(header("authorization"))?.[1];
	return bearer ?? (cookie === "" ? "" : cookieIn(header("cookie"), cookie));
}

/** The value of a cookie, without quotes around it; "" = there is no such cookie. */
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
