import { type ConsoleRules, consoleToken, mayUseConsole } from "../access/access.ts";
import { answered } from "../cluster-routes.ts";
import { json, type Reply, refusal } from "../routing/reply.ts";
import type { HttpRequest } from "../routing/request.ts";
import type { AnswerRoute } from "../routing/route.ts";
import { noStore } from "../routing/router.ts";
import { type Asset, consoleHeaders, loadConsoleAssets } from "./console-assets.ts";

/**
 * The console's page and its assets. Access to the page is restricted like access to its feed: without a token, only this machine may open it.
 * The assets (code and styles, the same for everybody and public) are not restricted, because a browser does not send the page's token with them.
 */
export function consoleRoutes(rules: () => ConsoleRules): AnswerRoute[] {
	return pageRoutes("cluster", rules);
}

/** The same for a gateway. Its page asks for its figures, under the same rule. @param figures what the page shows, as JSON. */
export function gatewayConsoleRoutes(rules: () => ConsoleRules, figures: () => object | Promise<object>): AnswerRoute[] {
	const answer = (request: HttpRequest) => refused(request, rules()) ?? answered(figures(), (body) => json(200, body, noStore));
	return [...pageRoutes("gateway", rules), { kind: "answer", method: "GET", path: "/console/gateway.json", answer }];
}

function pageRoutes(of: "cluster" | "gateway", rules: () => ConsoleRules): AnswerRoute[] {
	const assets = [...loadConsoleAssets(of)].map(
		([path, asset]): AnswerRoute => ({
			kind: "answer",
			method: "GET",
			path,
			answer: (request) => (path === "/console" ? page(request, asset, rules()) : give(request, asset)),
		}),
	);
	return [...assets, { kind: "answer", method: "GET", path: "/console/", answer: ({ query }) => moved(query) }];
}

function page(request: HttpRequest, asset: Asset, rules: ConsoleRules): Reply {
	return refused(request, rules) ?? give(request, asset);
}

/** Null = the request may use the console. */
function refused(request: HttpRequest, rules: ConsoleRules): Reply | null {
	const given = consoleToken(request);
	if (mayUseConsole(request.address, given, rules)) return null;
	return refusal("forbidden", whyNot(given, rules), { headers: noStore, close: true });
}

function whyNot(given: string | null, { token, authRequired }: ConsoleRules): string {
	if (token === undefined && authRequired) return "the console needs a token here (--require-auth); set --console-token";
	if (token === undefined) return "the console answers this machine only; set --console-token to open it from elsewhere";
	return given === null ? "open /console?token=… with the token of --console-token" : "this is not the token of --console-token";
}

/** Assets have absolute paths, so a trailing slash would work, but a page should have one address. */
function moved(query: string): Reply {
	return { status: 308, body: "", headers: { Location: query === "" ? "/console" : `/console?${query}` }, close: true };
}

function give(request: HttpRequest, { type, body, etag }: Asset): Reply {
	const headers = { ...consoleHeaders, ETag: etag };
	if (request.header("if-none-match") === etag) return { status: 304, body: "", headers, close: true };
	return { status: 200, type, body, headers, close: true };
}
