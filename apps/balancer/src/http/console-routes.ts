import { type AnswerRoute, consoleToken, type HttpRequest, mayUseConsole, notStored, type Reply, refusal } from "@shardcast/http";
import { type Asset, consoleHeaders, loadConsoleAssets } from "./console-assets.ts";

/**
 * The console's page and what it loads. The page itself is guarded like its feed: without a token it is for this machine only. What the page loads (code and
 * styles, the same for everybody and in the public sources) is not, because a browser does not pass the page's token on.
 */
export function consoleRoutes(token: () => string | undefined): AnswerRoute[] {
	const assets = [...loadConsoleAssets()].map(
		([path, asset]): AnswerRoute => ({
			kind: "answer",
			method: "GET",
			path,
			answer: (request) => (path === "/console" ? page(request, asset, token()) : give(request, asset)),
		}),
	);
	return [...assets, { kind: "answer", method: "GET", path: "/console/", answer: ({ query }) => moved(query) }];
}

function page(request: HttpRequest, asset: Asset, token: string | undefined): Reply {
	const { address } = request;
	const given = consoleToken(request);
	if (mayUseConsole(address, given, token)) return give(request, asset);
	return refusal("forbidden", whyNot(given, token), { headers: notStored, close: true });
}

function whyNot(given: string | null, token: string | undefined): string {
	if (token === undefined) return "the console answers this machine only; set --console-token to open it from elsewhere";
	return given === null ? "open /console?token=… with the token of --console-token" : "this is not the token of --console-token";
}

/** What the page loads is named relative to the server, so the slash would do no harm, but a page has one address. */
function moved(query: string): Reply {
	return { status: 308, body: "", headers: { Location: query === "" ? "/console" : `/console?${query}` }, close: true };
}

function give(request: HttpRequest, { type, body, etag }: Asset): Reply {
	const headers = { ...consoleHeaders, ETag: etag };
	if (request.header("if-none-match") === etag) return { status: 304, body: "", headers, close: true };
	return { status: 200, type, body, headers, close: true };
}
