import { type AnswerRoute, consoleToken, type HttpRequest, isLoopback, mayUseConsole, notStored, type Reply } from "@shardcast/http";
import { type Asset, consoleHeaders, loadConsoleAssets } from "./console-assets.ts";

/**
 * The console's page and what it loads. The page itself is guarded like its feed: without a token it is for this machine only. What the page loads (code and
 * styles, the same for everybody and in the public sources) is not, because a browser does not pass the page's token on.
 */
export function consoleRoutes(token: () => string | undefined): AnswerRoute[] {
	return [...loadConsoleAssets()].map(([path, asset]) => ({
		kind: "answer",
		method: "GET",
		path,
		answer: (request) => (path === "/console" ? page(request, asset, token()) : give(request, asset)),
	}));
}

function page(request: HttpRequest, asset: Asset, token: string | undefined): Reply {
	const { address } = request;
	if (mayUseConsole(address, consoleToken(request), token)) return give(request, asset);
	const message =
		token === undefined && !isLoopback(address)
			? "the console answers this machine only; set --console-token to open it from elsewhere"
			: "open /console?token=… with the token of --console-token";
	return { status: 403, type: "text/plain; charset=utf-8", body: `${message}\n`, headers: notStored, close: true };
}

function give(request: HttpRequest, { type, body, etag }: Asset): Reply {
	const headers = { ...consoleHeaders, ETag: etag };
	if (request.header("if-none-match") === etag) return { status: 304, body: "", headers, close: true };
	return { status: 200, type, body, headers, close: true };
}
